/** `PATCH /v1/users/{username}`: quotas, patterns, and whether the account may be used at all. */
import { TunnelFault } from '@postern/protocol/fault'
import type { HandlerOf } from '../call.ts'
import { usernameInPath } from '../in-path.ts'
import { requireOther } from '../owner.ts'
import { cutUser } from './cut-user.ts'
import { userView } from './user-view.ts'

/** A crash between disabling and cutting leaves open channels open; a repetition cuts them. */
export const changeUser: HandlerOf<'changeUser'> = async ({ token, params, body }, deps) => {
  const username = usernameInPath(params.username)
  const { subdomains, maxSubdomains, maxTunnels, disabled } = body
  if (disabled === true) requireOther(token, username)
  const user = await deps.stores.users.update(username, {
    ...(subdomains !== undefined && { patterns: new Set(subdomains) }),
    ...(maxSubdomains !== undefined && { maxSubdomains }),
    ...(maxTunnels !== undefined && { maxTunnels }),
    ...(disabled !== undefined && { disabled }),
  })
  if (user === undefined) throw new TunnelFault('not-found', 'There is no such user.')
  if (disabled === true) await cutUser(username, deps)
  return userView(user)
}
