/** What the opening of a channel needs of the table: tickets found, their keys unsealed, one winner each. Knows nothing of sockets. */
import { addressKey, type IpPolicy, type Loopback, type Subdomain } from '@postern/protocol/address'
import type { OpenableTicket, OpeningHost } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import type { Ticket, TicketStore } from '@postern/protocol/store'
import {
  type DeploymentKeys,
  isIssuedWorkerId,
  openSealedKey,
  signObservation,
  workerIdHash,
} from '@postern/protocol/ticket'

/** A ticket of the table with its key unsealed. */
export interface AgentTicket
  extends OpenableTicket,
    Omit<Ticket, 'sealedKey' | 'allowedIps' | 'expiresAt' | 'subdomain'> {
  readonly subdomain: Subdomain
}

export interface TicketHostOptions {
  readonly taskId: string
  readonly tickets: TicketStore
  readonly keys: DeploymentKeys
  readonly ipPolicy: IpPolicy
  readonly loopback: Loopback
  refusal(): TunnelFault | undefined
  /** Milliseconds since 1970. */
  clock(): number
}

export function ticketHost({
  taskId,
  tickets,
  keys,
  ipPolicy,
  loopback,
  refusal,
  clock,
}: TicketHostOptions): OpeningHost<AgentTicket> {
  const keyOf = (ip: string): string => addressKey(ip, ipPolicy, loopback)
  return {
    taskId,
    refusal,
    addressKey: keyOf,
    now: clock,
    async find(workerId) {
      // Anybody can send an id: one that the control plane did not make costs no read of the table.
      if (!isIssuedWorkerId(workerId, keys, clock())) return undefined
      const ticket = await tickets.find(workerIdHash(workerId))
      return ticket && unsealed(ticket, keys)
    },
    observe: (workerId, seenIp) => signObservation({ seenIp, idHash: workerIdHash(workerId), time: clock() }, keys),
    async consume(_workerId, ticket, seenIp) {
      const spent = await tickets.consume({ idHash: ticket.idHash, addressKey: keyOf(seenIp), now: clock() })
      if (spent.kind === 'lost') throw new TunnelFault('ticket-refused')
    },
  }
}

/** Undefined for a ticket whose key does not open here: it was sealed with a dropped key or tampered with, and is as good as unknown. */
function unsealed({ sealedKey, ...ticket }: Ticket, keys: DeploymentKeys): AgentTicket | undefined {
  try {
    // The control plane has parsed the name before it issued the ticket.
    return {
      ...ticket,
      subdomain: ticket.subdomain as Subdomain,
      encryptionKey: openSealedKey(sealedKey, ticket, keys),
    }
  } catch (error) {
    if (error instanceof TunnelFault && error.code === 'ticket-refused') return undefined
    throw error
  }
}
