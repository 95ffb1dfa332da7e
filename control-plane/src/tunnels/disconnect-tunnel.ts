/** `DELETE /v1/tunnels/{subdomain}`: its channels are cut; the agents may come back at once. */
import { TunnelFault } from '@postern/protocol/fault'
import type { Stores } from '@postern/protocol/store'
import type { HandlerOf } from '../call.ts'
import { nameInPath } from '../in-path.ts'
import { isAdmin } from '../owner.ts'
import { cutName } from './cut-name.ts'
import { liveTasks } from './live-tasks.ts'

export const disconnectTunnel: HandlerOf<'disconnectTunnel'> = async ({ token, params }, deps) => {
  const { stores, now } = deps
  const name = nameInPath(params.subdomain)
  const notBefore = now()
  const theirs = isAdmin(token) || (await stores.reservations.find(name))?.username === token.username
  if (!theirs || !(await isOpen(name, stores, notBefore))) {
    throw new TunnelFault('not-found', 'No tunnel of that name is open.')
  }
  await cutName(name, notBefore, deps)
}

async function isOpen(name: string, stores: Stores, now: number): Promise<boolean> {
  const [routes, live] = await Promise.all([stores.routes.list(name, { consistent: true }), liveTasks(stores, now)])
  return routes.some((route) => route.routeState === 'online' && live.has(route))
}
