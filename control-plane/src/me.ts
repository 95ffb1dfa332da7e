/** Whose token it is, and what it may do. */
import { allowsSubdomain } from '@postern/protocol/address'
import type { HandlerOf } from './call.ts'

export const getMe: HandlerOf<'getMe'> = async ({ token, user }) => ({
  username: token.username,
  scopes: [...token.scopes],
  subdomains: bothAllow([...(token.subdomains ?? [])], [...(user.patterns ?? [])]),
  expiresAt: new Date(token.expiresAt).toISOString(),
})

/**
 * The patterns that both lists cover. Two that only overlap, `a*` and `*b`, have no single pattern for what they share and
 * are left out: a name of that kind is allowed all the same.
 */
const bothAllow = (ofToken: string[], ofUser: string[]): string[] => {
  const covered = [
    ...ofToken.filter((pattern) => allowsSubdomain(ofUser, pattern)),
    ...ofUser.filter((pattern) => allowsSubdomain(ofToken, pattern)),
  ]
  return [...new Set(covered)]
}
