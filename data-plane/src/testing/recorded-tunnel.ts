/** A tunnel as the watch of its rights sees it, that only notes what becomes of it. Knows nothing of channels. */
import type { Subdomain } from '@postern/protocol/address'
import type { TunnelFault } from '@postern/protocol/fault'
import type { AgentTicket } from '../channel/ticket-host.ts'

export interface RecordedTunnel {
  readonly ticket: AgentTicket
  tokenExpiresAt: number
  /** What was done to it, in order. */
  readonly heard: string[]
  revoke(detail: string): void
  disconnect(why: TunnelFault): void
  relist(): Promise<void>
}

export function recordedTunnel(
  changes: Partial<Omit<AgentTicket, 'subdomain'>> & { subdomain?: string } = {},
): RecordedTunnel {
  const ticket: AgentTicket = {
    idHash: 'id',
    username: 'ann',
    reservationId: 'r',
    tokenHash: 'token of ann',
    tokenExpiresAt: Number.MAX_SAFE_INTEGER,
    issuedAt: 1000,
    encryptionKey: new Uint8Array(32),
    expiresAt: 61_000,
    allowedIps: new Set(['*']),
    ...changes,
    subdomain: (changes.subdomain ?? 'demo') as Subdomain,
  }
  const heard: string[] = []
  return {
    ticket,
    tokenExpiresAt: ticket.tokenExpiresAt,
    heard,
    revoke: (detail) => void heard.push(`revoked: ${detail}`),
    disconnect: ({ code }) => void heard.push(`disconnected: ${code}`),
    relist: async () => void heard.push('relisted'),
  }
}
