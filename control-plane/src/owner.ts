/** Whose things a caller may see and change. */
import type { Token } from '@postern/protocol/store'

export const isAdmin = (token: Token): boolean => token.scopes.has('admin')

/** The owner that a write must find: the caller; undefined, which is anybody, for an administrator. */
export const ownerFor = (token: Token): string | undefined => (isAdmin(token) ? undefined : token.username)
