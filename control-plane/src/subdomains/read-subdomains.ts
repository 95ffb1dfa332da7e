/** `GET /v1/subdomains` and `GET /v1/subdomains/{name}`. */
import { TunnelFault } from '@postern/protocol/fault'
import type { HandlerOf } from '../call.ts'
import { nameInPath } from '../in-path.ts'
import { mayHandle, whoseList } from '../owner.ts'
import { pageOf } from '../page.ts'
import { subdomainView } from './subdomain-view.ts'

export const listSubdomains: HandlerOf<'listSubdomains'> = ({ token, query }, { stores, now }) => {
  const username = whoseList(token, query.username)
  const time = now()
  const { reservations } = stores
  return pageOf(query, {
    name: username === undefined ? 'subdomains' : `subdomains of ${username}`,
    read: (call) => (username === undefined ? reservations.list(call) : reservations.listOf(username, call)),
    view: (found) => subdomainView(found, time),
  })
}

export const getSubdomain: HandlerOf<'getSubdomain'> = async ({ token, params }, { stores, now }) => {
  const found = await stores.reservations.find(nameInPath(params.name))
  const view = found && mayHandle(token, found.username) ? subdomainView(found, now()) : undefined
  if (view === undefined) throw new TunnelFault('not-found', 'There is no such name.')
  return view
}
