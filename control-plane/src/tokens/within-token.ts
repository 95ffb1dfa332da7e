/** No token makes a mightier one, nor one that ends later: what a caller that is no administrator may put into a token. */
import { allowsSubdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import type { Token } from '@postern/protocol/store'
import { isAdmin } from '../owner.ts'

/**
 * A pattern is within the caller's if it is covered when read as a name: its stars then stand where one of theirs does.
 * @throws TunnelFault `scope-missing` or `subdomain-not-allowed` if `scopes` or `patterns` go beyond the caller's.
 */
export function requireWithin(caller: Token, scopes: ReadonlySet<string>, patterns: readonly string[]): void {
  if (isAdmin(caller)) return
  for (const scope of scopes) {
    if (!caller.scopes.has(scope))
      throw new TunnelFault('scope-missing', `The token that asks lacks the scope "${scope}".`)
  }
  for (const pattern of patterns) {
    if (!allowsSubdomain(caller.subdomains ?? [], pattern)) {
      throw new TunnelFault('subdomain-not-allowed', `"${pattern}" goes beyond the token that asks.`)
    }
  }
}

/** When a token that the caller makes ends at the latest: with the caller's own. In ms since 1970; an administrator's is not bound. */
export const latestEnd = (caller: Token): number => (isAdmin(caller) ? Infinity : caller.expiresAt)
