/** `HTTP/1.0` and `HTTP/1.1` (RFC 9112 §2.3). */
import { INCOMPLETE } from './field-lines.ts'
import { type Rule, refuse, type Side } from './rules.ts'

const PREFIX = Buffer.from('HTTP/')
const DOT = 0x2e
const ONE = 0x31

/** Length of a version in bytes. */
export const VERSION_BYTES = 8

/** The version at `at`, or `INCOMPLETE`. What is no version breaks `syntax`; another version `version-unsupported`. */
export function matchVersion(
  buffer: Buffer,
  at: number,
  limit: number,
  side: Side,
  syntax: Rule,
): 10 | 11 | typeof INCOMPLETE {
  const end = Math.min(limit, at + VERSION_BYTES)
  for (let i = at; i < end; i++) if (!fits(buffer[i]!, i - at)) refuse(side, syntax)
  if (end < at + VERSION_BYTES) return INCOMPLETE
  if (buffer[at + 5] !== ONE || buffer[at + 7]! > ONE) refuse(side, 'version-unsupported')
  return buffer[at + 7] === ONE ? 11 : 10
}

function fits(byte: number, position: number): boolean {
  if (position < PREFIX.length) return byte === PREFIX[position]
  if (position === 6) return byte === DOT
  return byte >= 0x30 && byte <= 0x39
}
