/** Makes sure that there is an account with a token for the local agent, and that the profile names both server and token. */
import { randomBytes } from 'node:crypto'
import { parseProfile, profileText } from '@postern/protocol/client'
import type { Stores } from '@postern/protocol/store'
import { newToken, type Secret, tokenHash } from '@postern/protocol/ticket'
import { ulid } from 'ulid'
import { readIfThere, writePrivate } from './data-folder.ts'

export interface FirstAccountOptions {
  readonly stores: Pick<Stores, 'tokens' | 'users'>
  /** Path of the profile. */
  readonly profile: string
  /** Origin that goes into the profile: `http://localhost:8080`. */
  readonly server: string
  /** Milliseconds since 1970. */
  now(): number
}

export const FIRST_USERNAME = 'local'

/** Tokens live 90 days; this one is made anew by a start that finds less than this of it left. */
const TOKEN_LIFE_MS = 90 * 86_400_000
const TOKEN_RENEW_MS = 7 * 86_400_000
const EVERY_NAME = '*'
/** As many names as a person can invent, on a machine of their own. */
const MAX_NAMES = 1000

/** The token is kept from start to start, as long as table and profile agree on it. */
export async function ensureFirstAccount(options: FirstAccountOptions): Promise<void> {
  const { stores, profile, server, now } = options
  await stores.users.create({
    username: FIRST_USERNAME,
    patterns: new Set([EVERY_NAME]),
    maxSubdomains: MAX_NAMES,
    maxTunnels: MAX_NAMES,
    createdAt: now(),
  })
  const token = (await usableToken(options)) ?? (await makeToken(stores, FIRST_USERNAME, now()))
  await writePrivate(profile, profileText({ server, token }))
}

/** A token for `username` that may ask for every name. */
export async function makeToken(stores: Pick<Stores, 'tokens'>, username: string, now: number): Promise<Secret> {
  const token = newToken('user', randomBytes)
  await stores.tokens.create({
    tokenHash: tokenHash(token),
    tokenId: ulid(now),
    username,
    scopes: new Set(['tunnel']),
    subdomains: new Set([EVERY_NAME]),
    createdAt: now,
    expiresAt: now + TOKEN_LIFE_MS,
    label: 'made by npm start',
  })
  return token
}

async function usableToken({ stores, profile, now }: FirstAccountOptions): Promise<Secret | undefined> {
  const text = await readIfThere(profile)
  const token = text === undefined ? undefined : tokenIn(text, profile)
  if (!token) return undefined
  const known = await stores.tokens.find(tokenHash(token))
  const usable = known?.tokenStatus === 'active' && known.expiresAt > now() + TOKEN_RENEW_MS
  return usable ? token : undefined
}

/** Undefined for a profile that somebody has damaged: it is written anew. */
function tokenIn(text: string, path: string): Secret | undefined {
  try {
    return parseProfile(text, path).token
  } catch {
    return undefined
  }
}
