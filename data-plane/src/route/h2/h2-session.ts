/** One HTTP/2 connection to a local server, over one stream of its tunnel: how many requests it takes, and what its end means for them. Knows nothing of HTTP/1.1. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type Settings } from 'node:http2'
import type { Duplex } from 'node:stream'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import type { Http2Fields } from '@postern/protocol/http'
import {
  H2_CONNECTION_WINDOW_BYTES,
  H2_HEADER_LIST_BYTES,
  H2_HEADER_PAIRS,
  H2_INVALID_FRAMES,
  H2_SESSION_MEMORY_MB,
  H2_SETTINGS_ENTRIES,
  H2_STREAM_WINDOW_BYTES,
  H2_STREAMS_PER_SESSION,
  SWEEP_MS,
} from '@postern/protocol/limits'
import { duplexOf, type RawStream } from '@postern/protocol/mux'
import { containedEvents } from '../../h2/contained-events.ts'
import { Liveness } from '../../h2/liveness.ts'
import type { Lease } from '../route.ts'
import { H2OriginStream } from './h2-origin-stream.ts'

/** What the agent said of a stream that it reset. */
type Failure = NonNullable<ReturnType<Lease['failure']>>

export interface H2SessionOptions {
  readonly stream: RawStream
  /** Told once for each stream. */
  takeFailure(): Failure | undefined
  /** Monotonic milliseconds. */
  now(): number
  /** One of its requests is over, and its place free. */
  over(): void
  /** Nothing is left of it. */
  gone(): void
}

const OPTIONS = {
  maxSettings: H2_SETTINGS_ENTRIES,
  maxSessionMemory: H2_SESSION_MEMORY_MB,
  maxHeaderListPairs: H2_HEADER_PAIRS,
  maxSessionInvalidFrames: H2_INVALID_FRAMES,
  settings: {
    enablePush: false,
    initialWindowSize: H2_STREAM_WINDOW_BYTES,
    maxHeaderListSize: H2_HEADER_LIST_BYTES,
  },
}

export class H2Session {
  /** Requests that it carries. */
  open = 0
  /** Since when it has carried none. */
  idleSince: number
  readonly #options: H2SessionOptions
  readonly #streams = new Set<H2OriginStream>()
  readonly #duplex: Duplex
  readonly #client: ClientHttp2Session
  readonly #liveness: Liveness
  /** As many as the local server takes, as far as it has said. */
  #room = H2_STREAMS_PER_SESSION
  /** The local server has shown that it speaks HTTP/2. */
  #greeted = false
  /** Of GOAWAY: what has a higher id was not processed. */
  #lastStreamId = Infinity
  #leaving = false
  #failure: Failure | undefined

  constructor(options: H2SessionOptions) {
    this.#options = options
    this.idleSince = options.now()
    this.#duplex = duplexOf(options.stream)
    const client = connect('http://localhost', { ...OPTIONS, createConnection: () => this.#duplex })
    this.#client = client
    this.#liveness = new Liveness({
      session: client,
      // A gRPC server ends a connection for a third PING within five minutes, or without a stream (gRPC proposal A8, too_many_pings). SETTINGS does not count.
      by: () => 'settings',
      blocked: () => this.#duplex.writableLength > 0,
      deadlineIn: (ms) => options.now() + SWEEP_MS + ms,
      dead: () => this.#fail(new TunnelFault('origin-closed', 'Its HTTP/2 connection works no longer.')),
    })
    // Its requests hear of what ended it, each by its own stream.
    client.on('error', () => {})
    const on = containedEvents(client, (error) => this.#fail(toFault(error)))
    on('connect', () => client.setLocalWindowSize(H2_CONNECTION_WINDOW_BYTES))
    on('remoteSettings', ({ maxConcurrentStreams = H2_STREAMS_PER_SESSION }: Settings) => {
      this.#greeted = true
      this.#room = Math.min(maxConcurrentStreams, H2_STREAMS_PER_SESSION)
    })
    on('goaway', (_code: number, lastStreamId: number) => {
      this.#leaving = true
      this.#lastStreamId = lastStreamId
    })
    on('close', () => {
      this.#leaving = true
      options.gone()
    })
    // The local server has closed its connection; what it sent before is read by now.
    this.#duplex.on('end', () => setImmediate(() => client.destroy()))
  }

  /** Whether another request may be sent by it. */
  get hasRoom(): boolean {
    return !this.#leaving && !this.#client.closed && !this.#client.destroyed && this.open < this.#room
  }

  /** Those of its requests that hold something. */
  *holders(): Iterable<H2OriginStream> {
    for (const stream of this.#streams) if (stream.held > 0) yield stream
  }

  lease(): Lease {
    let refused: Failure | undefined
    let over = false
    this.open += 1
    const stream: H2OriginStream = new H2OriginStream({
      now: () => this.#options.now(),
      request: (fields, options) => this.#request(fields, options),
      faultOf: (stream, error) => {
        const fault = this.#faultOf(error)
        refused = { fault, unsent: this.#unprocessed(stream) }
        return fault
      },
      over: () => {
        if (over) return
        over = true
        this.#streams.delete(stream)
        this.open -= 1
        if (this.open === 0) this.idleSince = this.#options.now()
        this.#options.over()
      },
    })
    this.#streams.add(stream)
    return {
      stream,
      // Whatever it has carried before, it may be on its way out without our knowing.
      reused: true,
      keep: () => stream.detach(),
      leave: () => stream.detach(),
      reset: () => stream.reset(),
      failure: () => refused,
    }
  }

  /** No further requests; it ends with the last of those it has. */
  leave(): void {
    this.#leaving = true
    if (!this.#client.closed && !this.#client.destroyed) this.#client.close()
  }

  /** Called about once a second. */
  sweep(): void {
    for (const stream of this.#streams) stream.sweep()
    if (this.#liveness.deadline <= this.#options.now()) this.#liveness.check()
  }

  /** Ends what a closed session may have left of its stream. */
  destroy(): void {
    this.#duplex.destroy()
  }

  #fail(fault: TunnelFault): void {
    this.#leaving = true
    this.#client.destroy(fault)
    this.#duplex.destroy()
  }

  #request(fields: Http2Fields, options: { endStream: boolean; waitForTrailers: boolean }): ClientHttp2Stream {
    return this.#client.request(fields, options)
  }

  /** RFC 9113 §8.7: not one byte of it was acted on, so that it may be sent again whatever it is. */
  #unprocessed(stream: ClientHttp2Stream): boolean {
    const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
    // It takes no more than it has, whatever it said: the next one goes elsewhere.
    if (refused && this.open === 0) this.leave()
    else if (refused) this.#room = Math.min(this.#room, this.open)
    return refused || (stream.id ?? Infinity) > this.#lastStreamId || (!this.#greeted && this.#failed?.unsent === true)
  }

  #faultOf(error: unknown): TunnelFault {
    const failed = this.#failed
    if (failed !== undefined) return failed.fault
    const { cause } = (error ?? {}) as { cause?: unknown }
    const fault = [error, cause].find((each) => each instanceof TunnelFault)
    if (fault !== undefined && fault.code !== 'stream-reset') return fault
    if (!this.#greeted)
      return new TunnelFault('origin-invalid', 'It does not speak HTTP/2 without TLS.', { cause: error })
    return new TunnelFault('origin-closed', undefined, { cause: error })
  }

  /** What the agent said of the stream is told once, and concerns every request of the session. */
  get #failed(): Failure | undefined {
    this.#failure ??= this.#options.takeFailure()
    return this.#failure
  }
}
