/** Visitors that read nothing for a while, and then slowly: one for each way in which a response reaches its end. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { frame, PREFACE } from '../../data-plane/src/testing/h2-frames.ts'
import { contentOf, readResponse } from '../support/http-message.ts'
import { patternedHash } from '../support/patterned-bytes.ts'
import { FLAG, FrameReader, number, requestBlock, TYPE } from './h2-frames.ts'
import type { FRAMINGS } from './large-download.ts'

export interface Form {
  readonly version: '1.0' | '1.1' | '2'
  /** Of the local server. */
  readonly framing: (typeof FRAMINGS)[number]
  readonly fields?: string
  /** The tunnel: one without rules, or one with rules. */
  readonly tunnel: 'open' | 'judged'
  /** The windows let all of the response come at once, so that the kernel has most of it when the stream closes. */
  readonly largeWindows?: true
  /** Whether the visitor comes to another node than the tunnel's. */
  readonly byPeer?: true
}

export const FORMS: Readonly<Record<string, Form>> = {
  'HTTP/1.0, ended by the close': { version: '1.0', framing: 'close', tunnel: 'open' },
  'HTTP/1.0, kept alive': { version: '1.0', framing: 'length', fields: 'Connection: keep-alive\r\n', tunnel: 'open' },
  'HTTP/1.1, of a given length': { version: '1.1', framing: 'length', fields: 'Connection: close\r\n', tunnel: 'open' },
  'HTTP/1.1, in chunks': { version: '1.1', framing: 'chunked', tunnel: 'open' },
  'HTTP/1.1, ended by the local server': { version: '1.1', framing: 'close', tunnel: 'open' },
  'HTTP/2': { version: '2', framing: 'length', tunnel: 'open' },
  'HTTP/2, with large windows': { version: '2', framing: 'length', tunnel: 'open', largeWindows: true },
  'by a peer, piped': { version: '1.0', framing: 'chunked', tunnel: 'open', byPeer: true },
  'by a peer, judged': { version: '1.1', framing: 'close', tunnel: 'judged', byPeer: true },
}

export interface Pace {
  /** Nothing is read before. */
  readonly from: Promise<unknown>
  /** So much is read at a time, and nothing for so long behind it. */
  readonly sipBytes: number
  readonly sipMs: number
}

export interface Visit {
  readonly port: number
  readonly host: string
  readonly form: Form
  readonly pace: Pace
  /** Of the body. */
  readonly bytes: number
}

/** What came: `whole`, or what is wrong. */
export function visitSlowly(visit: Visit): Promise<string> {
  if (visit.form.version !== '2') return byHttp1(visit)
  return visit.form.largeWindows ? byHttp2Frames(visit) : byHttp2(visit)
}

async function byHttp1({ port, host, form, pace, bytes }: Visit): Promise<string> {
  const { version, framing, fields = '' } = form
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  let ending = 'open' as 'open' | 'ended' | 'cut'
  socket.on('error', () => {
    ending = 'cut'
  })
  socket.on('end', () => {
    // As `visitUntilClosed`: Node 20 reports a reset that arrives together with data as an end.
    socket.write(Buffer.alloc(0), (error) => {
      ending = error ? 'cut' : 'ended'
    })
  })
  socket.write(`GET /${framing} HTTP/${version}\r\nHost: ${host}\r\n${fields}\r\n`)
  const pieces: Buffer[] = []
  const received = (): Buffer => Buffer.concat(pieces)
  const endsWithConnection = fields === '' ? version === '1.0' : fields.includes('close')
  let length = 0
  await readAtPace(
    socket,
    pace,
    (chunk) => {
      pieces.push(chunk)
      length += chunk.length
    },
    () => ending !== 'open' || (!endsWithConnection && length > bytes && isWhole(received())),
  )
  socket.destroy()
  const response = readResponse(received(), 0, { ended: ending === 'ended' })
  if (response === undefined) return `${length} bytes, head included, then ${ending}`
  return judge(contentOf(response), bytes)
}

const isWhole = (bytes: Buffer): boolean => readResponse(bytes, 0, {}) !== undefined

async function byHttp2({ port, host, form, pace, bytes }: Visit): Promise<string> {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  const stream = session.request({ ':authority': host, ':path': `/${form.framing}` })
  let over = false
  stream.on('error', () => {})
  stream.on('close', () => {
    over = true
  })
  await once(stream, 'response')
  const pieces: Buffer[] = []
  await readAtPace(
    stream,
    pace,
    (chunk) => pieces.push(chunk),
    () => over || stream.readableEnded,
  )
  session.destroy()
  return stream.rstCode === 0
    ? judge(Buffer.concat(pieces), bytes)
    : `${Buffer.concat(pieces).length} bytes, then RST_STREAM ${stream.rstCode}`
}

/** `node:http2` would read all that a large window lets through. Here nothing is read but at the pace, and each sip is credited. */
async function byHttp2Frames({ port, host, form, pace, bytes }: Visit): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let isOpen = true
  socket.on('error', () => {})
  socket.on('close', () => {
    isOpen = false
  })
  const largest = frame(TYPE.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), number(2 ** 31 - 1)]))
  const more = frame(TYPE.windowUpdate, 0, 0, number(2 ** 30))
  const request = requestBlock(host, 'GET', `/${form.framing}`)
  const head = frame(TYPE.headers, FLAG.endStream | FLAG.endHeaders, 1, request)
  socket.write(Buffer.concat([PREFACE, largest, more, head]))
  const frames = new FrameReader()
  const body: Buffer[] = []
  let ending = 'open'
  await readAtPace(
    socket,
    pace,
    (chunk) => {
      for (const { type, flags, payload } of frames.read(chunk)) {
        if (type === TYPE.data) body.push(payload)
        if (type === TYPE.reset) ending = `RST_STREAM ${payload.readUInt32BE(0)}`
        else if (type === TYPE.data && (flags & FLAG.endStream) !== 0) ending = 'ended'
        else if (type === TYPE.ping && flags === 0) socket.write(frame(TYPE.ping, FLAG.ack, 0, payload))
      }
      if (isOpen) socket.write(frame(TYPE.windowUpdate, 0, 0, number(chunk.length)))
    },
    () => !isOpen || ending !== 'open',
  )
  socket.destroy()
  if (ending === 'ended') return judge(Buffer.concat(body), bytes)
  return `${Buffer.concat(body).length} bytes, then ${ending === 'open' ? 'cut' : ending}`
}

function judge(body: Buffer, bytes: number): string {
  if (body.length !== bytes) return `looks whole after ${body.length} of ${bytes} bytes`
  return createHash('sha256').update(body).digest('hex') === patternedHash(bytes) ? 'whole' : 'other bytes'
}

async function readAtPace(
  readable: Readable,
  { from, sipBytes, sipMs }: Pace,
  take: (chunk: Buffer) => void,
  over: () => boolean,
): Promise<void> {
  await from
  // Without a listener nothing would be read of a socket.
  readable.on('readable', () => {})
  let thirst = sipBytes
  while (!over() || readable.readableLength > 0) {
    const chunk = readable.read(Math.min(thirst, readable.readableLength)) as Buffer | null
    if (chunk !== null && chunk.length > 0) {
      take(chunk)
      thirst -= chunk.length
    }
    if (thirst > 0 && readable.readableLength > 0) continue
    await setTimeout(thirst === 0 ? sipMs : 1)
    if (thirst === 0) thirst = sipBytes
  }
}
