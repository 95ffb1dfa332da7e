/** `POST /v1/tokens`: a token for oneself or, by an administrator, for anybody. */
import { TunnelFault } from '@postern/protocol/fault'
import { ADMIN_TOKEN_LIFE_DAYS, TOKEN_LIFE_DAYS } from '@postern/protocol/limits'
import type { HandlerOf } from '../call.ts'
import { actingFor, isAdmin } from '../owner.ts'
import { makeToken } from './make-token.ts'
import { latestEnd, requireWithin } from './within-token.ts'

const DAY_MS = 86_400_000
const TOKEN = /pst_[ua][0-9A-Za-z]{36}/

export const createToken: HandlerOf<'createToken'> = async (call, deps) => {
  const { token: caller, body } = call
  call.target = body.username ?? caller.username
  const username = actingFor(caller, body.username)
  const scopes = new Set<string>(body.scopes ?? ['tunnel'])
  const patterns = body.subdomains ?? (isAdmin(caller) ? ['*'] : [...(caller.subdomains ?? [])])
  requireWithin(caller, scopes, patterns)
  const end = latestEnd(caller)
  requireDaysBefore(end, body.expiresInDays, deps.now())
  const { label = '', expiresInDays = scopes.has('admin') ? ADMIN_TOKEN_LIFE_DAYS : TOKEN_LIFE_DAYS } = body
  // It would lie readable in the table.
  if (TOKEN.test(label)) throw new TunnelFault('request-malformed', 'label: there is a token in it.')
  const wish = { username, label, scopes, patterns, lifeMs: expiresInDays * DAY_MS, latestEnd: end }
  const { token, shown } = await makeToken(wish, deps)
  call.target = token.tokenId
  return shown
}

/** A number of days that is asked for is kept or refused; only where none is asked for does the end decide. */
function requireDaysBefore(end: number, days: number | undefined, now: number): void {
  if (days === undefined || now + days * DAY_MS <= end) return
  const most = Math.floor((end - now) / DAY_MS)
  const allowed = most > 0 ? `at most ${most}` : 'leave it out'
  const when = new Date(end).toISOString()
  throw new TunnelFault('token-life-exceeded', `expiresInDays: ${allowed}; the token that asks ends at ${when}.`)
}
