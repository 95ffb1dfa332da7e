/** The form of an access token: found by secret scanners, checked for typing mistakes offline, stored as a hash. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { TunnelFault } from '../fault.ts'
import type { Random } from './random.ts'
import { Secret } from './secret.ts'

export type TokenKind = 'user' | 'admin'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 30 digits of base 62 are 178 bits. */
const RANDOM_DIGITS = 30
/** 62⁶ is just above 2³². */
const CHECK_DIGITS = 6
const FORM = /^pst_([ua])[0-9A-Za-z]{36}$/

/** A new token: `pst_`, `u` or `a`, 30 random digits, and their CRC-32 as 6 digits. */
export function newToken(kind: TokenKind, random: Random): Secret {
  const stem = `pst_${kind === 'admin' ? 'a' : 'u'}${randomDigits(random)}`
  return new Secret(stem + checkDigits(stem))
}

/**
 * Which kind of token `text` is, judged by its form alone, without asking anybody.
 * @throws TunnelFault `token-malformed`; the text is never part of it.
 */
export function checkToken(text: string): TokenKind {
  const kind = FORM.exec(text)?.[1]
  if (kind === undefined) {
    throw new TunnelFault('token-malformed', 'A token is pst_ followed by 37 letters and digits.')
  }
  const stem = text.slice(0, -CHECK_DIGITS)
  if (checkDigits(stem) !== text.slice(-CHECK_DIGITS)) throw new TunnelFault('token-malformed')
  return kind === 'a' ? 'admin' : 'user'
}

/** What the table knows of a token: SHA-256 as 64 hex digits. With 178 random bits no salt is needed. */
export const tokenHash = (token: Secret): string => createHash('sha256').update(token.reveal()).digest('hex')

function randomDigits(random: Random): string {
  let digits = ''
  while (digits.length < RANDOM_DIGITS) {
    for (const byte of random(RANDOM_DIGITS)) {
      // 248 = 4 × 62: bytes above would make the first eight digits likelier than the rest.
      if (byte < 248 && digits.length < RANDOM_DIGITS) digits += DIGITS[byte % 62]
    }
  }
  return digits
}

function checkDigits(stem: string): string {
  let rest = crc32(stem)
  let digits = ''
  for (let i = 0; i < CHECK_DIGITS; i += 1) {
    digits = DIGITS[rest % 62] + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}
