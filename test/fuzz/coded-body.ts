/** A second, plainer reading of chunked bodies, in which a line ends with its first LF: the boundary alone does not tell data from framing. */
import { CHUNK_LINE_BYTES } from '@postern/protocol/limits'
import type { Edit } from './passed-body.ts'

/** Bytes of data, as far as they have come. */
export function dataBytes(coded: Buffer): number {
  let data = 0
  for (const { from, to } of chunks(coded)) data += Math.min(to, coded.length) - from
  return data
}

/** Where the trailer section of a whole body begins: behind the line of the last chunk. */
export function trailersAt(coded: Buffer): number {
  let at = 0
  for (const { next } of chunks(coded)) at = next
  return coded.indexOf('\n', at) + 1
}

/** What makes clean form of the chunks of a response, trailers left out. */
export function chunkEdits(coded: Buffer): Edit[] {
  const edits: Edit[] = []
  const edit = (from: number, to: number, text: string): void => {
    if (coded.toString('latin1', from, to) !== text) edits.push({ from, to, text })
  }
  let at = 0
  for (const { from, to, next } of chunks(coded)) {
    edit(at, from, cleanLine(coded.toString('latin1', at, from)))
    if (next <= coded.length) edit(to, next, '\r\n')
    at = next
  }
  const lineEnd = coded.indexOf('\n', at) + 1
  if (lineEnd > at) edit(at, lineEnd, cleanLine(coded.toString('latin1', at, lineEnd)))
  return edits
}

/** Whether a line of the chunks ends with LF alone. */
export const endsInLineFeed = (coded: Buffer, edits: readonly Edit[]): boolean =>
  edits.some(({ from, to }) => /(?:^|[^\r])\n$/.test(coded.toString('latin1', from, to)))

function cleanLine(line: string): string {
  const content = line.replace(/\r?\n$/, '')
  const [size = ''] = /^[0-9a-f]*/i.exec(content)!
  const extensions = content.includes(';') ? content.slice(content.indexOf(';')) : ''
  const isShort = content.length + 2 <= CHUNK_LINE_BYTES
  return `${size}${isShort ? cleanExtensions(extensions) : ''}\r\n`
}

const NAME = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const QUOTED = '"(?:\\\\[\\t -~\\x80-\\xff]|(?!["\\\\])[\\t -~\\x80-\\xff])*"'
const EXTENSION = new RegExp(`^;[ \\t]*(${NAME})[ \\t]*(?:=[ \\t]*(${NAME}|${QUOTED})[ \\t]*)?`)

/** The well-formed ones without white space, or nothing. */
function cleanExtensions(text: string): string {
  let clean = ''
  for (let rest = text; rest !== ''; ) {
    const match = EXTENSION.exec(rest)
    if (match === null) return ''
    const [whole, name, value] = match
    clean += value === undefined ? `;${name}` : `;${name}=${value}`
    rest = rest.slice(whole.length)
  }
  return clean
}

/** Spans of data, each with where the next line begins. */
function* chunks(coded: Buffer): Generator<{ from: number; to: number; next: number }> {
  for (let at = 0; at < coded.length; ) {
    const from = coded.indexOf('\n', at) + 1
    if (from === 0) return
    const size = Number.parseInt(coded.toString('latin1', at, from), 16)
    if (!(size > 0)) return
    const to = from + size
    const next = to + (coded[to] === 0x0a ? 1 : 2)
    yield { from, to, next }
    at = next
  }
}
