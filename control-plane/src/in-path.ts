/** Parameters of a path as what they must be. What cannot be a name of anything names nothing: it never reaches the table. */
import { usernameSchema } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'

const TOKEN_ID = /^[0-9A-Za-z]{1,40}$/
/** Wider than the grammar of names: one that was reserved before the grammar refused it can still be given back. */
const LABEL = /^[a-z0-9-]{1,63}$/

/** @throws TunnelFault `not-found` */
export const usernameInPath = (text: string): string => must(usernameSchema.safeParse(text).success, text)

/** @throws TunnelFault `not-found` */
export const tokenIdInPath = (text: string): string => must(TOKEN_ID.test(text), text)

/** @throws TunnelFault `not-found` */
export const nameInPath = (text: string): string => must(LABEL.test(text), text)

function must(good: boolean, text: string): string {
  if (!good) throw new TunnelFault('not-found')
  return text
}
