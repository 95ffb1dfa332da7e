/** Issues tickets straight into a store, as the control plane would after its checks. Knows nothing of tokens or quotas. */
import { randomBytes } from 'node:crypto'
import { TICKET_LIFE_MS } from '@postern/protocol/limits'
import type { TicketStore, TokenStore } from '@postern/protocol/store'
import { type ChannelTicket, type DeploymentKeys, newWorkerId, sealKey, workerIdHash } from '@postern/protocol/ticket'

const ALICE = 'alice'
/** Longer than any test. */
const TOKEN_LIFE_MS = 86_400_000

/** The token that these tickets come from. A table that is asked for it must have it, or the tunnels end. */
export const deskToken = (now: number): Parameters<TokenStore['create']>[0] => ({
  tokenHash: '0'.repeat(64),
  tokenId: 'desk',
  username: ALICE,
  scopes: new Set(['tunnel']),
  subdomains: new Set(['*']),
  createdAt: now,
  expiresAt: now + TOKEN_LIFE_MS,
  label: 'desk',
})

export interface TicketDesk {
  /** A ticket of alice's, unless told, for 127.0.0.1 that names this port (a proxy's, for instance). */
  issue(subdomain: string, port: number, username?: string): Promise<ChannelTicket>
}

export function ticketDesk(tickets: Pick<TicketStore, 'issue'>, keys: DeploymentKeys): TicketDesk {
  return {
    async issue(subdomain, port, username = ALICE) {
      const issuedAt = Date.now()
      const expiresAt = issuedAt + TICKET_LIFE_MS
      const workerId = newWorkerId(expiresAt, keys, randomBytes)
      const encryptionKey = randomBytes(32)
      const { tokenHash, expiresAt: tokenExpiresAt } = deskToken(issuedAt)
      const bound = { idHash: workerIdHash(workerId), username, subdomain }
      await tickets.issue({
        ...bound,
        reservationId: '01JD0000000000000000000000',
        tokenHash,
        tokenExpiresAt,
        issuedAt,
        allowedIps: new Set(['127.0.0.1']),
        sealedKey: sealKey(encryptionKey, bound, keys, randomBytes),
        expiresAt,
      })
      return {
        host: '127.0.0.1',
        port,
        workerId,
        encryptionKeyText: encryptionKey.toString('hex'),
        url: `http://${subdomain}.test.localhost`,
        expiresAt: new Date(expiresAt).toISOString(),
        seenIp: '127.0.0.1',
        protocol: 1,
      }
    },
  }
}
