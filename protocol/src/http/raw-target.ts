/** Raw UTF-8 in a request target: where it ends, and how it is passed on. See docs/decisions/0017-raw-utf8-in-targets.md. */
import { isUtf8 } from 'node:buffer'
import { TARGET_BYTES } from '../limits.ts'
import { TARGET, TARGET_PLAIN } from './character-tables.ts'
import { refuse } from './rules.ts'

/** Bytes of `%C3`. */
const ENCODED_BYTES = 3

/**
 * The index behind the target that begins at `start`, or `limit`. Its length counts as it is passed on.
 * @param at first byte that is not plain
 * @throws TunnelFault `uri-too-long`
 */
export function rawTargetEnd(buffer: Buffer, start: number, at: number, limit: number): number {
  let end = at
  for (let length = at - start; end < limit && TARGET[buffer[end]!] !== 0; end++) {
    length += TARGET[buffer[end]!] === TARGET_PLAIN ? 1 : ENCODED_BYTES
    if (length > TARGET_BYTES) refuse('request', 'target-bytes')
  }
  return end
}

/** @throws TunnelFault `request-invalid`: overlong forms, surrogates and other charsets are read in more than one way */
export function checkUtf8(buffer: Buffer, start: number, end: number): void {
  if (!isUtf8(buffer.subarray(start, end))) refuse('request', 'target-character')
}

/** RFC 3987 §3.1: each octet above 127 as `%` and two digits; everything else as it is. */
export const percentEncoded = (target: string): string =>
  target.replaceAll(/[\x80-\xff]/g, (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase()}`)
