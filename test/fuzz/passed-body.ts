/** Reads the body of a message in pieces, with what passes on of it; and what should, by a slow and obvious reading. */
import type { BodyBoundary, RequestHead, ResponseHead, Side } from '@postern/protocol/http'
import { cleanTrailers, hasOddLines } from './clean-trailers.ts'
import { chunkEdits, dataBytes, endsInLineFeed, trailersAt } from './coded-body.ts'
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
  /** Of a request: the names of the trailers that do not pass on. */
  readonly dropped: readonly Span[]
  /** Of a response: what passes on otherwise. */
  readonly edits: readonly Edit[]
}

/** `step` bytes are added for each call, as if they had come in such pieces. @throws TunnelFault */
export function readBody(
  boundary: BodyBoundary,
  { framing, contentLength }: RequestHead | ResponseHead,
  bytes: Buffer,
  from: number,
  step: number,
  side: Side,
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
  const read = { end: at, dataBytes: body.length, wrong: undefined, dropped: [], edits: [] }
  const passed = Buffer.concat(pieces).toString('latin1')
  if (framing !== 'chunked') return { ...read, wrong: wrongBody(boundary.done, passed, body.toString('latin1')) }
  const counted = { ...read, dataBytes: dataBytes(body) }
  if (side === 'request') {
    if (!boundary.done) return counted
    const { wanted, dropped } = withoutForbidden(bytes, from, at)
    return { ...counted, dropped, wrong: wrongBody(true, passed, wanted) }
  }
  const { edits, odd } = responseEdits(body, boundary.done)
  const wrong = wrongBody(boundary.done, passed, edited(body, edits).toString('latin1'))
  const moved = edits.map((edit) => ({ ...edit, from: from + edit.from, to: from + edit.to }))
  const misjudged = boundary.done && odd !== boundary.odd ? `body: odd ${boundary.odd}, not ${odd}` : undefined
  return { ...counted, edits: moved, wrong: wrong ?? misjudged }
}

const wrongBody = (done: boolean, passed: string, wanted: string): string | undefined =>
  !done || passed === wanted ? undefined : `body: ${JSON.stringify(passed)} passes on, not ${JSON.stringify(wanted)}`

/** What makes clean form of a response's body, and whether nothing may follow it on its connection. */
function responseEdits(body: Buffer, whole: boolean): { edits: Edit[]; odd: boolean } {
  const edits = chunkEdits(body)
  const odd = endsInLineFeed(body, edits)
  if (!whole) return { edits, odd }
  const from = trailersAt(body)
  const section = body.toString('latin1', from)
  const text = cleanTrailers(section)
  if (text !== section) edits.push({ from, to: body.length, text })
  return { edits, odd: odd || hasOddLines(section) }
}

function withoutForbidden(bytes: Buffer, from: number, to: number): { wanted: string; dropped: Span[] } {
  const trailers = from + trailersAt(bytes.subarray(from, to))
  const dropped: Span[] = []
  let wanted = bytes.toString('latin1', from, trailers)
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
