/** `DELETE /v1/tokens/{id}`: the token is good for nothing more, and its tunnels are cut. */
import { TunnelFault } from '@postern/protocol/fault'
import type { HandlerOf } from '../call.ts'
import { tokenIdInPath } from '../in-path.ts'
import { ownerFor } from '../owner.ts'

/** Repeating it revokes anew, which mends a call that broke off between the token and the list of revocations. */
export const revokeToken: HandlerOf<'revokeToken'> = async ({ token: caller, params }, { stores, now, newId }) => {
  const token = await stores.tokens.findById(tokenIdInPath(params.id))
  const owner = ownerFor(caller)
  const revoked = token && (await stores.tokens.revoke({ tokenHash: token.tokenHash, owner, now: now(), newId }))
  if (!revoked) throw new TunnelFault('not-found', 'There is no such token.')
}
