/** `DELETE /v1/tunnels/{subdomain}`: its channels are cut; the agents may come back at once. */
import { TunnelFault } from '@postern/protocol/fault'
import type { Stores } from '@postern/protocol/store'
import type { HandlerOf } from '../call.ts'
import { nameInPath } from '../in-path.ts'
import { isAdmin } from '../owner.ts'
import { cutName } from './cut-name.ts'

export const disconnectTunnel: HandlerOf<'disconnectTunnel'> = async ({ token, params }, deps) => {
  const { stores, now } = deps
  const name = nameInPath(params.subdomain)
  const notBefore = now()
  const theirs = isAdmin(token) || (await stores.reservations.find(name))?.username === token.username
  if (!theirs || !(await hasRoute(name, stores))) {
    throw new TunnelFault('not-found', 'No tunnel of that name is open.')
  }
  await cutName(name, notBefore, deps)
}

/** Whether or not the lease of its node lasts: a node that was stopped because it had been taken over must not claim the name again. */
async function hasRoute(name: string, stores: Stores): Promise<boolean> {
  const routes = await stores.routes.list(name, { consistent: true })
  return routes.some(({ routeState }) => routeState === 'online')
}
