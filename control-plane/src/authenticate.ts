/** Who is asking: the token of a request, and what the table knows of it. */
import type { Operation } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import type { Token, User } from '@postern/protocol/store'
import { checkToken, Secret, tokenHash } from '@postern/protocol/ticket'
import type { Context } from 'hono'
import { errorLine, type Log } from './log.ts'
import type { ControlDeps } from './settings.ts'

export interface Caller {
  readonly token: Token
  readonly user: User
}

/**
 * The token that a request carries (RFC 6750 §2.1), if it is good now and its account too.
 * @throws TunnelFault `token-…`, `user-disabled`
 */
export async function authenticate(
  c: Context,
  { stores, now, log, requestId }: Pick<ControlDeps, 'stores' | 'now'> & { log: Log; requestId: string },
): Promise<Caller> {
  const secret = bearer(c.req.header('authorization'))
  checkToken(secret.reveal())
  const token = await stores.tokens.find(tokenHash(secret))
  if (token === undefined) throw new TunnelFault('token-unknown')
  if (token.tokenStatus === 'revoked') throw new TunnelFault('token-revoked')
  const time = now()
  if (token.expiresAt <= time) throw new TunnelFault('token-expired')
  const user = await stores.users.find(token.username)
  if (user === undefined || user.disabled) throw new TunnelFault('user-disabled')
  const day = new Date(time).toISOString().slice(0, 10)
  if (token.lastUsedDay !== day) {
    // Nobody is turned away because the day of use could not be noted.
    await stores.tokens.touch({ tokenHash: token.tokenHash, day }).catch((error: unknown) => {
      log({ level: 'warn', message: 'the day of use was not noted', requestId, error: errorLine(error) })
    })
  }
  return { token, user }
}

/** Whose things a call without a scope of its own is about is its handler's business. @throws TunnelFault `scope-missing` */
export function requireScope({ scopes }: Token, who: Operation['who']): void {
  if ((who === 'tunnel' || who === 'admin') && !scopes.has(who)) {
    throw new TunnelFault('scope-missing', `It needs the scope "${who}".`)
  }
}

function bearer(header: string | undefined): Secret {
  const text = /^Bearer +([^ ]+) *$/i.exec(header ?? '')?.[1]
  if (text === undefined) throw new TunnelFault('token-missing')
  return new Secret(text)
}
