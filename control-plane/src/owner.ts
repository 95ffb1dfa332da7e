/** Whose things a caller may see and change. */
import { TunnelFault } from '@postern/protocol/fault'
import type { Token } from '@postern/protocol/store'

export const isAdmin = (token: Token): boolean => token.scopes.has('admin')

/** The owner that a write must find: the caller; undefined, which is anybody, for an administrator. */
export const ownerFor = (token: Token): string | undefined => (isAdmin(token) ? undefined : token.username)

/** Whether the caller may see and change what is `username`'s. */
export const mayHandle = (token: Token, username: string): boolean => isAdmin(token) || token.username === username

/**
 * Whose things a list is about: those of `asked`; where nobody is named, the caller's, or, undefined, everybody's for an
 * administrator.
 * @throws TunnelFault `scope-missing`
 */
export const whoseList = (token: Token, asked: string | undefined): string | undefined =>
  asked === undefined ? ownerFor(token) : actingFor(token, asked)

/**
 * The account that a change is for: the caller's own unless another is named.
 * @throws TunnelFault `scope-missing` if it is another's and the caller is no administrator.
 */
export function actingFor(token: Token, asked: string | undefined): string {
  const username = asked ?? token.username
  if (!mayHandle(token, username)) {
    throw new TunnelFault('scope-missing', 'For another account it needs the scope "admin".')
  }
  return username
}

/**
 * Keeps administrators from locking themselves out by a slip.
 * @throws TunnelFault `request-malformed` if `username` is the account of the token that is used.
 */
export function requireOther(token: Token, username: string): void {
  if (token.username === username) {
    throw new TunnelFault(
      'request-malformed',
      'This is the account of the token you use: another administrator can do it.',
    )
  }
}
