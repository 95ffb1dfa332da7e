/** Whether an account may have one more tunnel open. Knows nothing of tickets. */
import { TunnelFault } from '@postern/protocol/fault'
import { ROUTES_READ_AT_ONCE } from '@postern/protocol/limits'
import type { Stores, User } from '@postern/protocol/store'
import { liveTasks } from '../tunnels/live-tasks.ts'

interface QuotaCall {
  readonly user: User
  /** The one asked for: a tunnel of this name is replaced, not added. */
  readonly subdomain: string
  readonly now: number
}

/**
 * Judged by what is open when the ticket is asked for. Tickets of the same minute do not see one another, so that many asked
 * for at once may exceed the quota, by names the account holds anyway.
 * @throws TunnelFault `tunnel-quota`
 */
export async function requireRoomForTunnel(
  { user, subdomain, now }: QuotaCall,
  stores: Pick<Stores, 'routes' | 'tasks'>,
): Promise<void> {
  const others = Object.keys(user.subdomains).filter((name) => name !== subdomain)
  // Nothing is read for an account that could not exceed it if all its names were open.
  if (others.length < user.maxTunnels) return
  const live = await liveTasks(stores, now)
  let open = 0
  for (let at = 0; open < user.maxTunnels && at < others.length; at += ROUTES_READ_AT_ONCE) {
    const slots = await Promise.all(others.slice(at, at + ROUTES_READ_AT_ONCE).map((name) => stores.routes.list(name)))
    for (const slotsOfName of slots) {
      if (slotsOfName.some((route) => route.routeState === 'online' && live.has(route))) open += 1
    }
  }
  if (open >= user.maxTunnels) throw new TunnelFault('tunnel-quota', `The account may have ${user.maxTunnels}.`)
}
