/** `POST /v1/tokens`: a token for oneself or, by an administrator, for anybody. */
import { TunnelFault } from '@postern/protocol/fault'
import { ADMIN_TOKEN_LIFE_DAYS, TOKEN_LIFE_DAYS } from '@postern/protocol/limits'
import type { HandlerOf } from '../call.ts'
import { actingFor, isAdmin } from '../owner.ts'
import { makeToken } from './make-token.ts'
import { requireWithin } from './within-token.ts'

const DAY_MS = 86_400_000
const TOKEN = /pst_[ua][0-9A-Za-z]{36}/

export const createToken: HandlerOf<'createToken'> = async (call, deps) => {
  const { token: caller, body } = call
  call.target = body.username ?? caller.username
  const username = actingFor(caller, body.username)
  const scopes = new Set<string>(body.scopes ?? ['tunnel'])
  const patterns = body.subdomains ?? (isAdmin(caller) ? ['*'] : [...(caller.subdomains ?? [])])
  requireWithin(caller, scopes, patterns)
  const { label = '', expiresInDays = scopes.has('admin') ? ADMIN_TOKEN_LIFE_DAYS : TOKEN_LIFE_DAYS } = body
  // It would lie readable in the table.
  if (TOKEN.test(label)) throw new TunnelFault('request-malformed', 'label: there is a token in it.')
  const { token, shown } = await makeToken({ username, label, scopes, patterns, lifeMs: expiresInDays * DAY_MS }, deps)
  call.target = token.tokenId
  return shown
}
