/** Makes a token for an account, and sees to it that none outlives the account. Knows nothing of who asks. */
import type { NewToken } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import type { Token } from '@postern/protocol/store'
import { newToken, tokenHash } from '@postern/protocol/ticket'
import type { HandlerDeps } from '../call.ts'
import { tokenView } from './token-view.ts'

export interface TokenWish extends Pick<Token, 'username' | 'label' | 'scopes'> {
  /** Patterns of names; none allows no name. */
  readonly patterns: readonly string[]
  /** In ms. */
  readonly lifeMs: number
  /** It ends no later than this, whatever its life; ms since 1970. */
  readonly latestEnd: number
}

export interface Made {
  readonly token: Token
  /** What the caller is shown, this once. */
  readonly shown: NewToken
}

/**
 * The account is looked at again afterwards: one that is being deleted was disabled before its tokens were listed, so that
 * a token made beside that is either listed there or seen here. A crash in between leaves a token that nobody was shown.
 * @throws TunnelFault `not-found`, `user-disabled`
 */
export async function makeToken(wish: TokenWish, { stores, now, random, newId }: HandlerDeps): Promise<Made> {
  const user = await stores.users.find(wish.username)
  if (user === undefined) throw new TunnelFault('not-found', 'There is no such user.')
  if (user.disabled) throw new TunnelFault('user-disabled')

  const text = newToken(wish.scopes.has('admin') ? 'admin' : 'user', random)
  const createdAt = now()
  const made = {
    tokenHash: tokenHash(text),
    tokenId: newId(),
    username: wish.username,
    scopes: wish.scopes,
    ...(wish.patterns.length > 0 && { subdomains: new Set(wish.patterns) }),
    createdAt,
    expiresAt: Math.min(createdAt + wish.lifeMs, wish.latestEnd),
    lifeMs: wish.lifeMs,
    label: wish.label,
  }
  await stores.tokens.create(made)
  const still = await stores.users.find(wish.username)
  if (still === undefined || still.disabled || still.createdAt !== user.createdAt) {
    await stores.tokens.revoke({ tokenHash: made.tokenHash, now: now(), newId })
    throw new TunnelFault('user-disabled')
  }
  const token: Token = { ...made, tokenStatus: 'active' }
  return { token, shown: { ...tokenView(token, createdAt), token: text.reveal() } }
}
