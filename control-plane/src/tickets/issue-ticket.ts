/** Steps 1 and 2 of the protocol: who may have the name gets a ticket, which works once, for a minute, from their address. */
import { allowsSubdomain, parseSubdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { TICKET_LIFE_MS } from '@postern/protocol/limits'
import { newWorkerId, sealKey, workerIdHash } from '@postern/protocol/ticket'
import type { HandlerOf } from '../call.ts'
import { requireRoomForTunnel } from './tunnel-quota.ts'
import { whiteList } from './white-list.ts'

const KEY_BYTES = 32

/**
 * @throws TunnelFault `username-mismatch`, `subdomain-invalid`, `-reserved`, `-not-allowed`, `-taken`, `-quota`,
 * `tunnel-quota`, `observation-refused` or `store-unavailable`
 */
export const issueTicket: HandlerOf<'issueTicket'> = async ({ token, user, body, sourceIp, askedAt }, deps) => {
  const { stores, keys, grants, settings, random, newId } = deps
  const { username, tokenHash } = token
  if (body.username !== username) throw new TunnelFault('username-mismatch', `The token is ${username}'s.`)
  const subdomain = parseSubdomain(body.subdomain)
  for (const patterns of [token.subdomains, user.patterns]) {
    if (!allowsSubdomain(patterns ?? [], subdomain)) throw new TunnelFault('subdomain-not-allowed')
  }

  // Channels are cut by the time of their ticket: one that was asked for before a revocation must not be later than it.
  const now = askedAt
  const { observation, ephemeral = false } = body
  const allowedIps = await whiteList({ sourceIp, observation, token, now }, deps)
  await requireRoomForTunnel({ user, subdomain, now }, stores)
  // A crash after this leaves a name reserved for its owner without a ticket: they ask again, and it is theirs already.
  const { reservationId } = await stores.reservations.reserve({ name: subdomain, username, ephemeral, now, newId })

  const expiresAt = now + TICKET_LIFE_MS
  const workerId = newWorkerId(expiresAt, keys, random)
  const idHash = workerIdHash(workerId)
  const encryptionKey = random(KEY_BYTES)
  const sealedKey = sealKey(encryptionKey, { idHash, username, subdomain }, keys, random)
  const granted = { name: subdomain, username, reservationId, tokenHash }
  const grant = await grants.sign(granted, { encryptionKey, issuedAt: now })
  await stores.tickets.issue({
    ...{ idHash, username, subdomain, reservationId, tokenHash },
    ...{ tokenExpiresAt: token.expiresAt, issuedAt: now },
    ...{ allowedIps, sealedKey, grant, expiresAt },
  })
  return {
    port: settings.channelPort,
    workerId,
    encryptionKeyText: Buffer.from(encryptionKey).toString('hex'),
    host: settings.channelHost,
    url: settings.publicUrl.replace('{subdomain}', subdomain),
    expiresAt: new Date(expiresAt).toISOString(),
    seenIp: sourceIp,
    protocol: 1,
  }
}
