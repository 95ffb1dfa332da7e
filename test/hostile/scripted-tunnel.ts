/** A tunnel whose agent answers by itself: what it sends is bounded by the windows that it is given, and by no socket of a local server. */
import { createServer, type Http2Server } from 'node:http2'
import { duplexOf, type RawStream } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { openAgentChannel } from './agent-channel.ts'

/** More than a window and all that waits before it: some of it stays with the agent while nobody reads. */
const LARGE_BYTES = 512 * 1024
/** Of one byte each: as many as fit into a window, and some more. */
const TINY_CHUNKS = 60_000
const LARGE = Buffer.alloc(LARGE_BYTES, 'l')
/** Larger than what the system takes for a connection. */
const HUGE_PIECES = 64
const TINY = Buffer.from('1\r\nt\r\n'.repeat(TINY_CHUNKS))
/** Close to the most that a head may have. */
const LONG_FIELDS = Array.from({ length: 60 }, (_, index) => `x-${index}: ${'f'.repeat(480)}\r\n`).join('')
const PIECE_BYTES = 16 * 1024

const head = (fields: string): Buffer => Buffer.from(`HTTP/1.1 200 OK\r\n${fields}\r\n`)

/** What each path is answered with. */
const ANSWERS: Readonly<Record<string, readonly Buffer[]>> = {
  '/small': [head('Content-Length: 5\r\n'), Buffer.from('small')],
  '/large': [head(`Content-Length: ${LARGE_BYTES}\r\n`), LARGE],
  '/chunks': [
    head('Transfer-Encoding: chunked\r\n'),
    Buffer.from(`${LARGE_BYTES.toString(16)}\r\n`),
    LARGE,
    Buffer.from('\r\n0\r\n\r\n'),
  ],
  '/tiny': [head('Transfer-Encoding: chunked\r\n'), TINY],
  '/huge': [
    head(`Content-Length: ${HUGE_PIECES * LARGE_BYTES}\r\n`),
    ...Array.from({ length: HUGE_PIECES }, () => LARGE),
  ],
  '/head': [head(`${LONG_FIELDS}Content-Length: 2\r\n`), Buffer.from('ok')],
  /** Nothing, and the body is not read. */
  '/stall': [],
  /** Nothing, and the body is read. */
  '/sink': [],
  /** A byte, and all the rest when it is told. */
  '/flow': [head('Transfer-Encoding: chunked\r\n'), Buffer.from('1\r\nf\r\n')],
}

export class ScriptedTunnel {
  /** Those that have begun a `/flow`. */
  readonly flowing = new Set<RawStream>()
  readonly #http2: Http2Server | undefined

  /** @param how what its agent says of itself in `hello` */
  static async open(
    ticket: ChannelTicket,
    how: { rules?: { allow: string[] }; h2c?: boolean } = {},
  ): Promise<ScriptedTunnel> {
    const tunnel = new ScriptedTunnel(how.h2c === true)
    await openAgentChannel(ticket, {
      hello: { ...(how.rules && { rules: how.rules }), ...(how.h2c && { upstreamProtocol: 'h2c' }) },
      streamOpened: (stream) => tunnel.#serve(stream),
    })
    return tunnel
  }

  private constructor(speaksHttp2: boolean) {
    if (!speaksHttp2) return
    this.#http2 = createServer({ settings: { maxConcurrentStreams: 100 } })
    this.#http2.on('stream', (stream, fields) => {
      stream.on('error', () => {})
      const path = fields[':path']!
      if (path === '/stall') return
      if (path === '/sink') return void stream.resume()
      stream.respond({ ':status': 200 })
      stream.end(path === '/large' ? LARGE : 'small')
    })
    this.#http2.on('sessionError', () => {})
  }

  /** Every `/flow` that has begun goes on, at once. */
  flood(): void {
    for (const stream of this.flowing) write(stream, [Buffer.from(`${LARGE_BYTES.toString(16)}\r\n`), LARGE])
    this.flowing.clear()
  }

  #serve(stream: RawStream): void {
    if (this.#http2 !== undefined) {
      const duplex = duplexOf(stream)
      duplex.on('error', () => {})
      this.#http2.emit('connection', duplex)
      return
    }
    let path = ''
    stream.listen({
      data: (chunk) => {
        const asked = /^(?:GET|POST|PUT) (\S+) HTTP/.exec(chunk.toString('latin1', 0, 64))?.[1]
        if (asked !== undefined) {
          path = asked
          write(stream, ANSWERS[path] ?? ANSWERS['/small']!)
          if (path === '/flow') this.flowing.add(stream)
        }
        if (path !== '/stall') stream.consume(chunk.length)
      },
      end: () => stream.end(),
      reset: () => this.flowing.delete(stream),
      writable: () => {},
    })
  }
}

/** The stream owns what it is given, and takes large pieces apart by itself. */
function write(stream: RawStream, pieces: readonly Buffer[]): void {
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += PIECE_BYTES) stream.write(piece.subarray(at, at + PIECE_BYTES))
}
