/** `POST /v1/users`: an account, of a name that nobody has. */
import { TunnelFault } from '@postern/protocol/fault'
import { DEFAULT_MAX_SUBDOMAINS, DEFAULT_MAX_TUNNELS } from '@postern/protocol/limits'
import type { HandlerOf } from '../call.ts'
import { userView } from './user-view.ts'

/** What the audit calls whoever has the table itself: nobody else may look like that. */
const KEPT = 'deployer'

export const createUser: HandlerOf<'createUser'> = async (call, { stores, now }) => {
  const { username, subdomains = ['*'], ...quotas } = call.body
  call.target = username
  if (username === KEPT) throw new TunnelFault('user-taken', `"${KEPT}" is kept for the audit.`)
  const user = {
    username,
    ...(subdomains.length > 0 && { patterns: new Set(subdomains) }),
    maxSubdomains: quotas.maxSubdomains ?? DEFAULT_MAX_SUBDOMAINS,
    maxTunnels: quotas.maxTunnels ?? DEFAULT_MAX_TUNNELS,
    createdAt: now(),
  }
  if (!(await stores.users.create(user))) throw new TunnelFault('user-taken')
  return userView({ ...user, subdomains: {}, disabled: false })
}
