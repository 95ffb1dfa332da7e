/**
 * The hash by which a tunnel knows its visitors' names and passwords: scrypt (RFC 7914) of `name:password`, one salt for all of a hello.
 * Knows nothing of headers. See docs/decisions/0008-visitor-passwords.md.
 */
import { scrypt } from 'node:crypto'
import { CREDENTIAL_HASH_BYTES, CREDENTIAL_SCRYPT_N } from '../limits.ts'

/** `node:crypto` refuses what takes more than 32 MiB unless told otherwise; this takes half of that. */
const SCRYPT = { N: CREDENTIAL_SCRYPT_N, r: 8, p: 1 }

/** @param credentials name, colon and password (RFC 7617 §2) as UTF-8. Takes a thread of libuv's pool, not the event loop. */
export function hashCredentials(credentials: Buffer, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(credentials, salt, CREDENTIAL_HASH_BYTES, SCRYPT, (error, hash) => (error ? reject(error) : resolve(hash)))
  })
}
