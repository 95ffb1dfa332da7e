/** The stores of a data plane in memory, for experiments about bytes, where a table would only take time. One process, so every call is atomic. */
import { TunnelFault } from '@postern/protocol/fault'
import type { RouteStore, Stores, Ticket } from '@postern/protocol/store'

export function memoryStores(): Pick<Stores, 'tickets' | 'routes'> {
  const tickets = new Map<string, Ticket>()
  const epochs = new Map<string, number>()
  return {
    tickets: {
      async issue(ticket) {
        tickets.set(ticket.idHash, ticket)
      },
      async find(idHash) {
        return tickets.get(idHash)
      },
      async consume({ idHash, addressKey, now }) {
        const ticket = tickets.get(idHash)
        if (ticket === undefined || ticket.expiresAt <= now || !ticket.allowedIps.has(addressKey))
          return { kind: 'lost' }
        tickets.delete(idHash)
        return { kind: 'won', ticket }
      },
    },
    routes: {
      async claim({ name, slot }) {
        const epoch = (epochs.get(`${name}/${slot}`) ?? 0) + 1
        epochs.set(`${name}/${slot}`, epoch)
        return { epoch, replaced: undefined }
      },
      async release({ name, slot, epoch }) {
        return epochs.get(`${name}/${slot}`) === epoch
      },
      async list(): ReturnType<RouteStore['list']> {
        throw new TunnelFault('internal-error', 'These experiments list no routes.')
      },
    },
  }
}
