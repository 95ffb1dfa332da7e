/**
 * Copies the lines of a parsed head into a new one: runs of untouched lines at once, the others as their owner decides. What
 * is written is always `name: value CRLF`, however it was sent.
 */
import { connectionNames } from './connection-options.ts'
import { bits, FIELD } from './field-names.ts'
import { HeadSlab } from './head-slab.ts'
import type { MessageHead } from './message-head.ts'

/** Hop-by-hop in both directions (RFC 9110 §7.6.1), beside what Connection names. What must go on is written anew. */
const HOP_BY_HOP = bits(FIELD.connection, FIELD.keepAlive, FIELD.upgrade, FIELD.te, FIELD.proxy)
/** The next reader may take a look-alike for the field that is dropped or written by us (RFC 3875 §4.1.18). */
const NEVER_PASSED = HOP_BY_HOP | bits(FIELD.lookAlike, FIELD.leftOut)

/** What Connection cannot name away: a message without them would be another message. */
const PROTECTED = bits(FIELD.host, FIELD.contentLength, FIELD.transferEncoding)

/** One for the process: a head is written and taken within one call. */
export const slab = new HeadSlab()

/** Stands in heads of both directions. Not X-Request-Id: that one belongs to visitors and applications, and some sign it. */
export const REQUEST_ID = Buffer.from('Postern-Request-Id: ')

/** Writes the line `index` in place of the one that was sent, or leaves it out. */
export type WriteLine<Head, Context> = (head: Head, index: number, context: Context) => void

/**
 * Appends the field lines; `from` is where the first run begins (the start line may be part of it). Lines whose id is in
 * `dropped` or whose lower-case name is in `removed` are left out, those in `owned` are given to `write`.
 */
export function copyLines<Head extends MessageHead, Context>(
  head: Head,
  from: number,
  dropped: number,
  owned: number,
  write: WriteLine<Head, Context>,
  context: Context,
  removed?: ReadonlySet<string>,
): void {
  const { lines } = head
  const { buffer } = lines
  const { end } = lines
  const out = dropped | NEVER_PASSED
  const named = head.namesFields ? union(connectionNames(lines), removed) : removed
  let run = from
  for (let i = 0; i < lines.count; i++) {
    const bit = 1 << lines.id(i)
    const isOut =
      (out & bit) !== 0 || (named !== undefined && (PROTECTED & bit) === 0 && named.has(lines.name(i).toLowerCase()))
    const isOwned = (owned & bit) !== 0
    if (!isOut && !isOwned && lines.canonical(i)) continue

    slab.span(buffer, run, lines.nameStart(i))
    if (!isOut) {
      if (isOwned) write(head, i, context)
      else if (lines.id(i) === FIELD.contentLength) writeValue(head, i, String(head.contentLength))
      else if (lines.id(i) === FIELD.transferEncoding) writeValue(head, i, 'chunked')
      else writeAsSent(head, i)
    }
    run = i + 1 < lines.count ? lines.nameStart(i + 1) : end
  }
  slab.span(buffer, run, end)
}

const union = (some: ReadonlySet<string>, more: ReadonlySet<string> | undefined): ReadonlySet<string> =>
  more === undefined ? some : new Set([...some, ...more])

/** Writes a line with the value it was sent with. */
export function writeAsSent(head: MessageHead, index: number): void {
  const { lines } = head
  slab.span(lines.buffer, lines.nameStart(index), lines.nameEnd(index))
  slab.text(': ')
  slab.span(lines.buffer, lines.valueStart(index), lines.valueEnd(index))
  slab.text('\r\n')
}

/** Writes a line with another value, under the name it was sent with. */
export function writeValue(head: MessageHead, index: number, value: string): void {
  const { lines } = head
  slab.span(lines.buffer, lines.nameStart(index), lines.nameEnd(index))
  slab.text(`: ${value}\r\n`)
}
