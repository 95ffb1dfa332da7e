/** What a token may be allowed to do. */
export const SCOPES = ['tunnel', 'admin'] as const
/** `tunnel`: ask for tickets. `admin`: change accounts, tokens and names. */
export type Scope = (typeof SCOPES)[number]
