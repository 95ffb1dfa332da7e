/** Ed25519 keys (RFC 8032) from and as their 32 bytes. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/** What stands before the bytes of a key in DER: PKCS #8 and SubjectPublicKeyInfo, RFC 8410 §7 and §4. */
const PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC = Buffer.from('302a300506032b6570032100', 'hex')
const KEY_BYTES = 32

/** The private key of a seed of 32 bytes. */
export const signingKey = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: 'der', type: 'pkcs8' })

/** The public half of a private key. */
export const publicBytes = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(PUBLIC.length)

/** The public key of these bytes; undefined if there are not 32 of them. Bytes that are no point of the curve verify nothing. */
export const verifyingKey = (bytes: Uint8Array): KeyObject | undefined =>
  bytes.length === KEY_BYTES
    ? createPublicKey({ key: Buffer.concat([PUBLIC, bytes]), format: 'der', type: 'spki' })
    : undefined
