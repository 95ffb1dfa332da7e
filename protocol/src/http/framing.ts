/** How a message says where its body ends (RFC 9112 §6): Content-Length and Transfer-Encoding, judged together. */
import type { FieldLines } from './field-lines.ts'
import { FIELD, spells } from './field-names.ts'
import { refuse, type Side } from './rules.ts'

/** How the end of a body is found (RFC 9112 §6.3). `close` occurs in responses only. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close'

/** No Content-Length, no Transfer-Encoding. */
export const UNFRAMED = -1
/** `Transfer-Encoding: chunked`. */
export const CHUNKED = -2

const ZERO = 0x30
const CHUNKED_NAME = Buffer.from('chunked')

/** The value of Content-Length, or `CHUNKED`, or `UNFRAMED`. @throws TunnelFault on whatever two readers could read in two ways. */
export function declaredLength(lines: FieldLines, version: 10 | 11, side: Side): number {
  const hasLength = lines.has(FIELD.contentLength)
  const hasCoding = lines.has(FIELD.transferEncoding)
  if (!hasLength && !hasCoding) return UNFRAMED
  if (hasLength && hasCoding) refuse(side, 'framing-both')

  let length = UNFRAMED
  let seen = false
  for (let i = 0; i < lines.count; i++) {
    const id = lines.id(i)
    if (id === FIELD.contentLength) {
      if (seen) refuse(side, 'content-length-repeated')
      const start = lines.valueStart(i)
      const end = lines.valueEnd(i)
      if (lines.endsInTab(i)) refuse(side, 'content-length-syntax')
      length = contentLength(lines.buffer, start, end, side)
      if (lines.buffer[start] === ZERO && end - start > 1) lines.respell(i)
      seen = true
    } else if (id === FIELD.transferEncoding) {
      if (version === 10) refuse(side, 'transfer-encoding-version')
      const end = lines.valueEnd(i)
      if (seen || !isChunked(lines.buffer, lines.valueStart(i), end) || lines.endsInTab(i))
        refuse(side, 'transfer-coding')
      lines.respell(i)
      length = CHUNKED
      seen = true
    }
  }
  return length
}

function isChunked(buffer: Buffer, start: number, end: number): boolean {
  return end - start === CHUNKED_NAME.length && spells(buffer, start, CHUNKED_NAME)
}

/** RFC 9110 §8.6: 1*DIGIT, here below 2^53, so that a number holds it exactly. */
function contentLength(buffer: Buffer, start: number, end: number, side: Side): number {
  if (start === end) refuse(side, 'content-length-syntax')
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = buffer[at]! - 0x30
    if (digit < 0 || digit > 9) refuse(side, 'content-length-syntax')
    value = value * 10 + digit
    // Never exact again beyond this point, but the rest may still break the syntax, which is the clearer thing to say.
    if (value > Number.MAX_SAFE_INTEGER) value = Number.POSITIVE_INFINITY
  }
  if (value === Number.POSITIVE_INFINITY) refuse(side, 'content-length-huge')
  return value
}
