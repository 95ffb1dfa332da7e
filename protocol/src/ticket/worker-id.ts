/** The id of a ticket: what an agent presents first, in clear, and what the table stores only as a hash. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type DeploymentKey, type DeploymentKeys, keyById } from './deployment-keys.ts'
import type { Random } from './random.ts'

const RANDOM_BYTES = 16
/** Seconds since 1970, big-endian: good until 2106. */
const EXPIRY_BYTES = 4
/** HMAC-SHA-256 truncated to half (RFC 2104 §5 allows no less). */
const MAC_BYTES = 16
const MAC_AT = RANDOM_BYTES + EXPIRY_BYTES
/** 36 bytes fill 48 digits of base64url to the last bit, so no two texts are the same bytes. With key id and dot: 57 of the 64 bytes that a first line may have. */
const FORM = /^([0-9a-f]{8})\.([\w-]{48})$/

/**
 * A new id: `<key id>.<base64url of 16 random bytes, the second in which the ticket has expired, and a MAC over both>`.
 * @param expiresAt milliseconds since 1970
 */
export function newWorkerId(expiresAt: number, { current }: DeploymentKeys, random: Random): string {
  const body = Buffer.alloc(MAC_AT)
  body.set(random(RANDOM_BYTES))
  body.writeUInt32BE(Math.ceil(expiresAt / 1000), RANDOM_BYTES)
  return `${current.id}.${Buffer.concat([body, macOf(body, current)]).toString('base64url')}`
}

/**
 * Whether a key of this deployment made the id, for a ticket that may still be good. Without the expiry, anybody who ever saw one id could cause reads
 * of the table with it for as long as its key is accepted.
 * @param now milliseconds since 1970
 */
export function isIssuedWorkerId(workerId: string, keys: DeploymentKeys, now: number): boolean {
  const [, keyId = '', text = ''] = FORM.exec(workerId) ?? []
  const key = keyById(keys, keyId)
  if (key === undefined) return false
  const bytes = Buffer.from(text, 'base64url')
  const body = bytes.subarray(0, MAC_AT)
  return timingSafeEqual(bytes.subarray(MAC_AT), macOf(body, key)) && body.readUInt32BE(RANDOM_BYTES) * 1000 > now
}

const macOf = (body: Uint8Array, key: DeploymentKey): Buffer =>
  createHmac('sha256', key.subkey('workerId')).update(body).digest().subarray(0, MAC_BYTES)

/** The key of the ticket in the table: SHA-256 as 64 hex digits. */
export const workerIdHash = (workerId: string): string => createHash('sha256').update(workerId).digest('hex')
