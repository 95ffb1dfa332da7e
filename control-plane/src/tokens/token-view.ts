/** A token as the API shows it: never its hash. */
import type { TokenView } from '@postern/protocol/api'
import type { Token } from '@postern/protocol/store'

/** @param now ms since 1970, for what is expired. */
export const tokenView = (token: Token, now: number): TokenView => ({
  id: token.tokenId,
  username: token.username,
  label: token.label,
  scopes: [...token.scopes].sort(),
  subdomains: [...(token.subdomains ?? [])].sort(),
  status: statusOf(token, now),
  createdAt: new Date(token.createdAt).toISOString(),
  expiresAt: new Date(token.expiresAt).toISOString(),
  ...(token.lastUsedDay !== undefined && { lastUsedDay: token.lastUsedDay }),
})

function statusOf({ tokenStatus, expiresAt }: Token, now: number): TokenView['status'] {
  if (tokenStatus === 'revoked') return 'revoked'
  return expiresAt <= now ? 'expired' : 'active'
}
