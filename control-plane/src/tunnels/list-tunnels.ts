/** `GET /v1/tunnels`: what is open now. */
import type { TunnelView } from '@postern/protocol/api'
import type { TunnelRow } from '@postern/protocol/store'
import type { HandlerOf } from '../call.ts'
import { whoseList } from '../owner.ts'
import { pageOf } from '../page.ts'
import { liveTasks } from './live-tasks.ts'
import { tunnelsOf } from './tunnels-of.ts'

/** Everybody's are read from the list of tunnels; those of one account from its names, which are few. */
export const listTunnels: HandlerOf<'listTunnels'> = async ({ token, query }, { stores, settings, now }) => {
  const username = whoseList(token, query.username)
  const live = await liveTasks(stores, now())
  const view = (row: Omit<TunnelRow, 'connId'>): TunnelView | undefined =>
    live.has(row)
      ? {
          ...{ subdomain: row.name, slot: row.slot, username: row.username, taskId: row.taskId },
          url: settings.publicUrl.replace('{subdomain}', row.name),
          openedAt: new Date(row.claimedAt).toISOString(),
        }
      : undefined
  if (username === undefined) {
    return pageOf(query, { name: 'tunnels', read: (call) => stores.tunnels.list(call), view })
  }
  return pageOf(query, { name: `tunnels of ${username}`, read: (call) => tunnelsOf(username, call, stores), view })
}
