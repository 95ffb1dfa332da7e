/** `PUT /v1/subdomains/{name}`: a name for good. */
import { allowsSubdomain, parseSubdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import type { HandlerOf } from '../call.ts'
import { actingFor, isAdmin } from '../owner.ts'
import { subdomainView } from './subdomain-view.ts'

/**
 * What an administrator's own token may ask tickets for does not bind what they reserve; what the account may have does.
 * An owner who reserves anew what they have changes nothing, or makes a lasting name of a random one.
 */
export const reserveSubdomain: HandlerOf<'reserveSubdomain'> = async ({ token, user: caller, params, body }, deps) => {
  const { stores, now, newId } = deps
  const name = parseSubdomain(params.name)
  const username = actingFor(token, body.username)
  const user = username === token.username ? caller : await stores.users.find(username)
  if (user === undefined) throw new TunnelFault('not-found', 'There is no such user.')
  if (user.disabled) throw new TunnelFault('user-disabled')
  if (!isAdmin(token) && !allowsSubdomain(token.subdomains ?? [], name)) throw new TunnelFault('subdomain-not-allowed')
  if (!allowsSubdomain(user.patterns ?? [], name)) {
    throw new TunnelFault('subdomain-not-allowed', 'The name fits no pattern of the account.')
  }
  const time = now()
  const reservation = await stores.reservations.reserve({ name, username, ephemeral: false, now: time, newId })
  const view = subdomainView(reservation, time)
  if (view === undefined) throw new TunnelFault('internal-error', 'A name was reserved whose hold is over.')
  return view
}
