/** Bodies that name where they belong, and the chunked coding, slow and obvious. Texts are latin1: one character for each byte. */
import type { SeededRandom } from '../../support/seeded-random.ts'

/** So many characters of which each few say whose they are. */
export function bodyOf(tag: string, length: number): string {
  if (length === 0) return ''
  return `${tag}|`.repeat(Math.ceil(length / (tag.length + 1))).slice(0, length)
}

/** In chunks of random sizes; `trailers`: whole field lines. */
export function chunked(random: SeededRandom, body: string, trailers = ''): string {
  let text = ''
  for (let at = 0; at < body.length; ) {
    const length = 1 + random.below(body.length - at)
    text += `${length.toString(16)}\r\n${body.slice(at, at + length)}\r\n`
    at += length
  }
  return `${text}0\r\n${trailers}\r\n`
}

export interface Unchunked {
  readonly body: string
  /** Where the coded body ends, if it does. */
  readonly end: number | undefined
}

/** Takes the coding off what stands in `text` from `at` on. @throws Error where it is none */
export function unchunked(text: string, at: number): Unchunked {
  let body = ''
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return { body, end: undefined }
    const line = text.slice(at, lineEnd)
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`no chunk size: ${JSON.stringify(line.slice(0, 40))}`)
    const length = Number.parseInt(line, 16)
    if (length === 0) {
      // Trailers end with an empty line, which may be the first.
      const end = text.startsWith('\r\n', lineEnd + 2) ? lineEnd + 4 : text.indexOf('\r\n\r\n', lineEnd + 2) + 4
      return { body, end: end >= lineEnd + 4 && end <= text.length ? end : undefined }
    }
    const dataEnd = lineEnd + 2 + length
    body += text.slice(lineEnd + 2, dataEnd)
    if (text.length < dataEnd + 2) return { body, end: undefined }
    if (text.slice(dataEnd, dataEnd + 2) !== '\r\n') throw new Error('a chunk has no end')
    at = dataEnd + 2
  }
}

/** The lines of a head: its first, and its fields by lower-case name, repeated ones joined. */
export interface HeadRead {
  readonly start: string
  readonly fields: ReadonlyMap<string, string>
}

export function readHead(text: string): HeadRead {
  const [start = '', ...lines] = text.split('\r\n')
  const fields = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = fields.get(name)
    fields.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return { start, fields }
}

const MOST_PAYLOAD = 300
const CLOSE_FRAME = '\x88\x02\x03\xe8'

/** In frames of WebSocket from a server (RFC 6455 §5.2), a Close frame behind them now and then. */
export function framed(random: SeededRandom, text: string): string {
  let frames = ''
  for (let at = 0; at < text.length; ) {
    const length = 1 + random.below(Math.min(MOST_PAYLOAD, text.length - at))
    const size = length < 126 ? String.fromCharCode(length) : `\x7e${String.fromCharCode(length >> 8, length & 0xff)}`
    frames += `\x82${size}${text.slice(at, at + length)}`
    at += length
  }
  return random.once(2) ? frames + CLOSE_FRAME : frames
}

/** Whether these bytes are whole frames, none of them a Close. */
export function endsBetweenFrames(frames: string): boolean {
  let at = 0
  while (at < frames.length) {
    if (frames[at] !== '\x82') return false
    const short = frames.charCodeAt(at + 1)
    const [head, length] = short < 126 ? [2, short] : [4, frames.charCodeAt(at + 2) * 256 + frames.charCodeAt(at + 3)]
    at += head + length
  }
  return at === frames.length
}
