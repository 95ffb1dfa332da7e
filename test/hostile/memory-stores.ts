/** The stores of a data plane in memory, for experiments about bytes, where a table would only take time. One process, so every call is atomic. */
import type { PlaneStores } from '@postern/data-plane'
import { LEASE_MS } from '@postern/protocol/limits'
import type { OnlineRoute, RouteStore, Task, Ticket } from '@postern/protocol/store'
import { deskToken } from './ticket-desk.ts'

/** Its one token is the desk's; nothing is ever revoked, and what is only for people to read is dropped. */
export function memoryStores(): PlaneStores {
  const tickets = new Map<string, Ticket>()
  const epochs = new Map<string, number>()
  const rows = new Map<string, OnlineRoute>()
  const tasks = new Map<string, Task>()
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
      async claim({ now, epochRead: _read, ...claim }) {
        const key = `${claim.name}/${claim.slot}`
        const epoch = (epochs.get(key) ?? 0) + 1
        epochs.set(key, epoch)
        const { ousted, ...owner } = claim
        rows.set(key, {
          ...owner,
          ...(ousted && { ousted: new Set(ousted) }),
          epoch,
          claimedAt: now,
          routeState: 'online',
        })
        return { epoch, replaced: undefined }
      },
      async release({ name, slot, epoch }) {
        const key = `${name}/${slot}`
        const isCurrent = rows.get(key)?.epoch === epoch
        if (isCurrent) rows.delete(key)
        return isCurrent
      },
      list: async (name): ReturnType<RouteStore['list']> => [...rows.values()].filter((row) => row.name === name),
    },
    reservations: { ownerOf: async (name) => [...rows.values()].find((row) => row.name === name)?.reservationId },
    grantKeys: { read: async () => undefined },
    tokens: { find: async () => ({ ...deskToken(Date.now()), tokenStatus: 'active' }) },
    tasks: {
      renew: async ({ now, ...task }) => {
        tasks.set(task.taskId, { ...task, leaseUntil: now + LEASE_MS })
        return 'renewed'
      },
      end: async ({ taskId }) => void tasks.delete(taskId),
      list: async () => [...tasks.values()],
      evict: async () => false,
      heeded: async () => {},
    },
    revocations: { since: async () => [] },
    tunnels: { put: async () => {}, remove: async () => {} },
    nodeAudit: { add: async () => {} },
  }
}
