/** How a message says where its body ends (RFC 9112 §6): Content-Length and Transfer-Encoding, judged together. */
import { HTAB, SP } from './character-tables.ts'
import type { FieldLines } from './field-lines.ts'
import { FIELD, spells } from './field-names.ts'
import { refuse, type Side } from './rules.ts'
import { trimmed } from './trimmed.ts'

/** How the end of a body is found (RFC 9112 §6.3). `close` occurs in responses only. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close'

/** No Content-Length, no Transfer-Encoding. */
export const UNFRAMED = -1
/** `Transfer-Encoding: chunked`. */
export const CHUNKED = -2

const ZERO = 0x30
const COMMA = 0x2c
const CHUNKED_NAME = Buffer.from('chunked')

/**
 * The value of Content-Length, or `CHUNKED`, or `UNFRAMED`. A response may say the same twice; what it says more than once goes on once, and no length beside a
 * coding (RFC 9112 §6.3).
 *
 * @throws TunnelFault on whatever two readers could read in two ways.
 */
export function declaredLength(lines: FieldLines, version: 10 | 11, side: Side): number {
  const hasLength = lines.has(FIELD.contentLength)
  const hasCoding = lines.has(FIELD.transferEncoding)
  if (!hasLength && !hasCoding) return UNFRAMED
  if (hasLength && hasCoding && side === 'request') refuse(side, 'framing-both')

  let length = UNFRAMED
  for (let i = 0; i < lines.count; i++) {
    const id = lines.id(i)
    if (id !== FIELD.contentLength && id !== FIELD.transferEncoding) continue
    lines.judged = i
    if (length !== UNFRAMED && side === 'request')
      refuse(side, id === FIELD.contentLength ? 'content-length-repeated' : 'transfer-coding')
    if (id === FIELD.contentLength && hasCoding) {
      lines.leaveOut(i)
      continue
    }
    const said = id === FIELD.contentLength ? lengthOf(lines, i, side) : codingOf(lines, i, version, side)
    if (length !== UNFRAMED) {
      if (said !== length) refuse(side, 'content-length-repeated')
      lines.leaveOut(i)
    }
    length = said
  }
  lines.judged = -1
  return length
}

function lengthOf(lines: FieldLines, index: number, side: Side): number {
  const start = lines.valueStart(index)
  const end = lines.valueEnd(index)
  const endsInTab = lines.endsInTab(index)
  if (endsInTab && side === 'request') refuse(side, 'content-length-syntax')
  const first = side === 'request' ? end : elementEnd(lines.buffer, start, end)
  const length = contentLength(lines.buffer, start, first, side)
  if (first < end) {
    // RFC 9110 §8.6: a list of the same number, as it comes of lines that somebody has joined.
    const numbers = lines.value(index).split(',')
    if (!numbers.every((text) => /^[ \t]*\d+[ \t]*$/.test(text))) refuse(side, 'content-length-syntax')
    if (numbers.some((text) => Number(text) !== length)) refuse(side, 'content-length-repeated')
    lines.respell(index)
  } else if (endsInTab || (lines.buffer[start] === ZERO && end - start > 1)) lines.respell(index)
  return length
}

function codingOf(lines: FieldLines, index: number, version: 10 | 11, side: Side): typeof CHUNKED {
  if (version === 10 && side === 'request') refuse(side, 'transfer-encoding-version')
  const start = lines.valueStart(index)
  const end = lines.valueEnd(index)
  if (side === 'request' && lines.endsInTab(index)) refuse(side, 'transfer-coding')
  const means = isChunked(lines.buffer, start, end) || (side === 'response' && listsChunked(lines.value(index)))
  if (!means) refuse(side, 'transfer-coding')
  lines.respell(index)
  return CHUNKED
}

/** Once or more often, and no other coding. Empty elements count for nothing (RFC 9110 §5.6.1.2). */
function listsChunked(value: string): boolean {
  const names = value.split(',').map((name) => trimmed(name, ' \t').toLowerCase())
  return names.includes('chunked') && names.every((name) => name === '' || name === 'chunked')
}

function isChunked(buffer: Buffer, start: number, end: number): boolean {
  return end - start === CHUNKED_NAME.length && spells(buffer, start, CHUNKED_NAME)
}

/** Where the first element of a list ends. */
function elementEnd(buffer: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && buffer[at] !== COMMA && buffer[at] !== SP && buffer[at] !== HTAB) at++
  return at
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
