/** `GET /v1/users` and `GET /v1/users/{username}`. */
import { TunnelFault } from '@postern/protocol/fault'
import type { HandlerOf } from '../call.ts'
import { usernameInPath } from '../in-path.ts'
import { pageOf } from '../page.ts'
import { userView } from './user-view.ts'

export const listUsers: HandlerOf<'listUsers'> = ({ query }, { stores }) =>
  pageOf(query, { name: 'users', read: (call) => stores.users.list(call), view: userView })

export const getUser: HandlerOf<'getUser'> = async ({ params }, { stores }) => {
  const user = await stores.users.find(usernameInPath(params.username))
  if (user === undefined) throw new TunnelFault('not-found', 'There is no such user.')
  return userView(user)
}
