/** Steps 1 and 2 of the protocol: who may have the name gets a ticket, which works once, for a minute, from their address. */
import { allowsSubdomain, parseSubdomain } from '@postern/protocol/address'
import type { TicketRequest } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { TICKET_LIFE_MS } from '@postern/protocol/limits'
import type { NewId, Token } from '@postern/protocol/store'
import { type ChannelTicket, newWorkerId, sealKey, workerIdHash } from '@postern/protocol/ticket'
import type { ControlDeps } from '../settings.ts'
import { whiteList } from './white-list.ts'

const KEY_BYTES = 32

/**
 * @throws TunnelFault `username-mismatch`, `subdomain-invalid`, `-reserved`, `-not-allowed`, `-taken`, `-quota`,
 * `observation-refused` or `store-unavailable`
 */
export async function issueTicket(
  { request, token, sourceIp }: { request: TicketRequest; token: Token; sourceIp: string },
  deps: Pick<ControlDeps, 'stores' | 'keys' | 'settings' | 'now' | 'random'> & { newId: NewId },
): Promise<ChannelTicket> {
  const { stores, keys, settings, random, newId } = deps
  const { username, tokenHash } = token
  if (request.username !== username) throw new TunnelFault('username-mismatch', `The token is ${username}'s.`)
  const subdomain = parseSubdomain(request.subdomain)
  if (!allowsSubdomain(token.subdomains ?? [], subdomain)) throw new TunnelFault('subdomain-not-allowed')

  const now = deps.now()
  const { observation, ephemeral = false } = request
  const allowedIps = await whiteList({ sourceIp, observation, token, now }, deps)
  // A crash after this leaves a name reserved for its owner without a ticket: they ask again, and it is theirs already.
  const { reservationId } = await stores.reservations.reserve({ name: subdomain, username, ephemeral, now, newId })

  const workerId = newWorkerId(random)
  const idHash = workerIdHash(workerId)
  const encryptionKey = random(KEY_BYTES)
  const sealedKey = sealKey(encryptionKey, { idHash, username, subdomain }, keys, random)
  const expiresAt = now + TICKET_LIFE_MS
  await stores.tickets.issue({
    ...{ idHash, username, subdomain, reservationId, tokenHash },
    ...{ allowedIps, sealedKey, expiresAt },
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
