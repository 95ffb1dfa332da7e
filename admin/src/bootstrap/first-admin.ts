/** The first administrator of a deployment, made by whoever has the table itself. Knows nothing of AWS, files or terminals. */
import type { NewToken } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { ADMIN_TOKEN_LIFE_DAYS, DEFAULT_MAX_SUBDOMAINS, DEFAULT_MAX_TUNNELS } from '@postern/protocol/limits'
import type { NewId, Stores } from '@postern/protocol/store'
import { newToken, type Random, tokenHash } from '@postern/protocol/ticket'

export interface FirstAdminCall {
  readonly stores: Pick<Stores, 'users' | 'tokens' | 'audit'>
  /** Make another token although there is an administrator. */
  readonly force: boolean
  /** Milliseconds since 1970. */
  readonly now: number
  readonly random: Random
  readonly newId: NewId
}

export interface FirstAdmin {
  readonly token: NewToken
  /** The token is good, but the audit has no row of its making. */
  readonly auditFault: TunnelFault | undefined
}

const USERNAME = 'admin'
const SCOPES = ['admin', 'tunnel']
const EVERY_NAME = '*'
const DAY_MS = 86_400_000

/**
 * The account's one conditional write decides among any number of callers. A crash after it leaves an account without a
 * token, which `force` completes.
 *
 * @throws TunnelFault `already-bootstrapped`, or what the table says
 */
export async function makeFirstAdmin({ stores, force, now, random, newId }: FirstAdminCall): Promise<FirstAdmin> {
  const made = await stores.users.create({
    username: USERNAME,
    patterns: new Set([EVERY_NAME]),
    maxSubdomains: DEFAULT_MAX_SUBDOMAINS,
    maxTunnels: DEFAULT_MAX_TUNNELS,
    createdAt: now,
  })
  if (!made && !force) throw new TunnelFault('already-bootstrapped')
  // Whoever forces it is locked out, perhaps for this very reason.
  if (!made) await stores.users.update(USERNAME, { disabled: false })

  const token = newToken('admin', random)
  const kept = {
    tokenId: newId(),
    username: USERNAME,
    label: 'made by bootstrap',
    createdAt: now,
    expiresAt: now + ADMIN_TOKEN_LIFE_DAYS * DAY_MS,
  }
  await stores.tokens.create({
    ...kept,
    tokenHash: tokenHash(token),
    scopes: new Set(SCOPES),
    subdomains: new Set([EVERY_NAME]),
  })
  const auditFault = await stores.audit
    .add({ actor: 'deployer', action: 'bootstrap', target: USERNAME, ip: '-', result: 'done', now, newId })
    .then(() => undefined)
    .catch((error: unknown) => error as TunnelFault)
  return {
    token: {
      id: kept.tokenId,
      username: USERNAME,
      label: kept.label,
      scopes: SCOPES,
      subdomains: [EVERY_NAME],
      status: 'active',
      createdAt: new Date(kept.createdAt).toISOString(),
      expiresAt: new Date(kept.expiresAt).toISOString(),
      token: token.reveal(),
    },
    auditFault,
  }
}
