/** `POST /v1/tokens/{id}/rotate`: a token like another one, which goes on for a day. */
import { TunnelFault } from '@postern/protocol/fault'
import { TOKEN_OVERLAP_MS } from '@postern/protocol/limits'
import type { Token } from '@postern/protocol/store'
import type { HandlerDeps, HandlerOf } from '../call.ts'
import { tokenIdInPath } from '../in-path.ts'
import { mayHandle, ownerFor } from '../owner.ts'
import { makeToken } from './make-token.ts'
import { latestEnd, requireWithin } from './within-token.ts'

/**
 * The new token first: a crash in between leaves one that nobody was shown, and the old one as it was. If the old one was
 * revoked meanwhile, the new one goes too: whoever revokes a token has not another one left.
 */
export const rotateToken: HandlerOf<'rotateToken'> = async ({ token: caller, params }, deps) => {
  const { stores, now, newId } = deps
  const old = await stores.tokens.findById(tokenIdInPath(params.id))
  if (old === undefined || !mayHandle(caller, old.username) || !isGood(old, now())) throw noSuchToken()
  const { username, label, scopes, subdomains } = old
  const patterns = [...(subdomains ?? [])]
  requireWithin(caller, scopes, patterns)

  const wish = { username, label, scopes, patterns, lifeMs: lifeOf(old), latestEnd: latestEnd(caller) }
  const { token, shown } = await makeToken(wish, deps)
  const at = now() + TOKEN_OVERLAP_MS
  if (!(await stores.tokens.expire({ tokenHash: old.tokenHash, owner: ownerFor(caller), at }))) {
    await withdraw(token, { stores, now, newId })
    throw noSuchToken()
  }
  return shown
}

const withdraw = ({ tokenHash }: Token, { stores, now, newId }: Pick<HandlerDeps, 'stores' | 'now' | 'newId'>) =>
  stores.tokens.revoke({ tokenHash, now: now(), newId })

const isGood = ({ tokenStatus, expiresAt }: Token, now: number): boolean => tokenStatus === 'active' && expiresAt > now

/** What it was asked for with: a token that was rotated before, or made by one that ends sooner, ends sooner than that. */
const lifeOf = ({ lifeMs, createdAt, expiresAt }: Token): number => lifeMs ?? expiresAt - createdAt

const noSuchToken = (): TunnelFault => new TunnelFault('not-found', 'There is no such token, or it is no longer good.')
