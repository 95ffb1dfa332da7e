/** Reads the body of a message in pieces, with what passes on of it; and what should, by a slow and obvious reading. */
import type { BodyBoundary, RequestHead, ResponseHead } from '@postern/protocol/http'
import { blanksIn, dataBytes, trailersAt } from './coded-body.ts'
import { isOurs } from './our-fields.ts'

export interface Span {
  readonly from: number
  readonly to: number
}

export interface PassedBody {
  /** Index behind its last byte, or behind all that came. */
  readonly end: number
  readonly dataBytes: number
  /** Why what passed on is not what should; undefined where it is, or where the body is not whole. */
  readonly wrong: string | undefined
  /** The names of the trailers that do not pass on. */
  readonly dropped: readonly Span[]
  /** Indices of the white space of chunk lines, which does not pass on. */
  readonly blanks: readonly number[]
}

/** `step` bytes are added for each call, as if they had come in such pieces. @throws TunnelFault */
export function readBody(
  boundary: BodyBoundary,
  { framing, contentLength }: RequestHead | ResponseHead,
  bytes: Buffer,
  from: number,
  step: number,
): PassedBody {
  boundary.start(framing, contentLength)
  const pieces: Buffer[] = []
  let at = from
  while (!boundary.done && at < bytes.length) {
    const end = boundary.advance(bytes, at, Math.min(bytes.length, at + step))
    pieces.push(boundary.passed(bytes, at), boundary.takeTail() ?? Buffer.alloc(0))
    at = end
  }
  const body = bytes.subarray(from, at)
  const counted = framing === 'chunked' ? dataBytes(body) : body.length
  const blanks = framing === 'chunked' ? blanksIn(body).map((index) => from + index) : []
  if (!boundary.done) return { end: at, dataBytes: counted, wrong: undefined, dropped: [], blanks }
  const passed = Buffer.concat(pieces).toString('latin1')
  const { wanted, dropped } =
    framing === 'chunked'
      ? withoutForbidden(bytes, from, at, new Set(blanks))
      : { wanted: body.toString('latin1'), dropped: [] }
  const wrong =
    passed === wanted ? undefined : `body: ${JSON.stringify(passed)} passes on, not ${JSON.stringify(wanted)}`
  return { end: at, dataBytes: counted, wrong, dropped, blanks }
}

function withoutForbidden(
  bytes: Buffer,
  from: number,
  to: number,
  blanks: ReadonlySet<number>,
): { wanted: string; dropped: Span[] } {
  const trailers = from + trailersAt(bytes.subarray(from, to))
  const dropped: Span[] = []
  let wanted = ''
  for (let i = from; i < trailers; i++) if (!blanks.has(i)) wanted += String.fromCharCode(bytes[i]!)
  let at = trailers
  for (const line of bytes.toString('latin1', trailers, to).split(/(?<=\r\n)/)) {
    const [name = ''] = line.split(':', 1)
    if (isOurs(name)) dropped.push({ from: at, to: at + name.length })
    else wanted += line
    at += line.length
  }
  return { wanted, dropped }
}

/** The bytes for a reader that judges what does not pass on: under names that say nothing. */
export function withoutDropped(bytes: Buffer, dropped: readonly Span[]): Buffer {
  if (dropped.length === 0) return bytes
  const renamed = Buffer.from(bytes)
  for (const { from, to } of dropped) renamed.fill('x', from, to)
  return renamed
}

/** A span of the bytes and what stands there instead. */
export interface Edit extends Span {
  readonly text: string
}

/** The bytes for a reader that does not tolerate what ours does: in the form in which they pass on. In order, not overlapping. */
export function edited(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  let text = ''
  let at = 0
  for (const edit of edits) {
    text += bytes.toString('latin1', at, edit.from) + edit.text
    at = edit.to
  }
  return Buffer.from(text + bytes.toString('latin1', at), 'latin1')
}
