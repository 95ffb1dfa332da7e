/** The channel key of a ticket as it lies in the table: sealed, and bound to the ticket it belongs to. */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { TunnelFault } from '../fault.ts'
import { type DeploymentKeys, keyById } from './deployment-keys.ts'
import type { Random } from './random.ts'

const NONCE_BYTES = 24

/** What a sealed key belongs to; a key moved to another ticket does not open. */
export interface SealContext {
  readonly idHash: string
  readonly username: string
  readonly subdomain: string
}

/**
 * Seals a channel key with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under the current key. A random nonce of 24 bytes
 * needs no counter between tasks. The result is `<key id>.<base64url of nonce and ciphertext>`.
 */
export function sealKey(encryptionKey: Uint8Array, context: SealContext, keys: DeploymentKeys, random: Random): string {
  const nonce = random(NONCE_BYTES)
  const cipher = xchacha20poly1305(keys.current.subkey('seal'), nonce, associatedData(context))
  const sealed = Buffer.concat([nonce, cipher.encrypt(encryptionKey)])
  return `${keys.current.id}.${sealed.toString('base64url')}`
}

/**
 * The channel key again.
 * @throws TunnelFault `ticket-refused` if the key that sealed it is no longer accepted, or anything was changed.
 */
export function openSealedKey(sealedKey: string, context: SealContext, keys: DeploymentKeys): Uint8Array {
  const dot = sealedKey.indexOf('.')
  const key = keyById(keys, sealedKey.slice(0, dot))
  if (key === undefined) throw new TunnelFault('ticket-refused', 'It is sealed with a key that is not accepted here.')
  const sealed = Buffer.from(sealedKey.slice(dot + 1), 'base64url')
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES)
    return xchacha20poly1305(key.subkey('seal'), nonce, associatedData(context)).decrypt(sealed.subarray(NONCE_BYTES))
  } catch (cause) {
    throw new TunnelFault('ticket-refused', 'Its sealed key does not open.', { cause })
  }
}

/** Each part behind its length in two bytes, so that no two contexts have the same bytes. */
function associatedData(context: SealContext): Uint8Array {
  const parts = [context.idHash, context.username, context.subdomain].map((part) => Buffer.from(part))
  return Buffer.concat(parts.flatMap((part) => [Buffer.of(part.length >> 8, part.length & 0xff), part]))
}
