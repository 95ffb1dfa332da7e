/** Tickets in the table: issued by the control plane, spent once by a channel server. */
import { TunnelFault } from '../fault.ts'
import { BUSY_RETRY_MS, TICKET_PURGE_AFTER_MS } from '../limits.ts'
import { ticketSchema } from './records.ts'
import type { TicketStore } from './stores.ts'
import { type Key, purgeAt, readAs, type Table } from './table.ts'

const key = (idHash: string): Key => ({ pk: `TICKET#${idHash}`, sk: 'TICKET' })

const IS_NEW = 'attribute_not_exists(#pk)'
/** One delete takes the ticket and its white list together, so no crash leaves one without the other. */
const IS_VALID_HERE = 'attribute_exists(#pk) AND #expiresAt > :now AND contains(#allowedIps, :addressKey)'

export function ticketStore(table: Table): TicketStore {
  return {
    async issue(ticket) {
      const item = { ...key(ticket.idHash), ...ticket, purgeAt: purgeAt(ticket.expiresAt + TICKET_PURGE_AFTER_MS) }
      const written = await table.put(item, { clause: IS_NEW })
      // 128 random bits do not meet: this is our own first attempt, whose answer was lost.
      if (written.kind === 'refused') throw new TunnelFault('store-unavailable', 'The ticket may be recorded or not.')
    },

    async find(idHash) {
      const item = await table.get(key(idHash))
      return item && readAs(ticketSchema, item)
    },

    async consume({ idHash, addressKey, now }) {
      const written = await table
        .remove(key(idHash), { clause: IS_VALID_HERE, values: { now, addressKey } })
        .catch((cause: unknown) => {
          throw new TunnelFault('server-busy', 'Whether the ticket is spent is not known.', {
            cause,
            retryAfterMs: BUSY_RETRY_MS,
          })
        })
      if (written.kind === 'refused' || written.before === undefined) return { kind: 'lost' }
      return { kind: 'won', ticket: readAs(ticketSchema, written.before) }
    },
  }
}
