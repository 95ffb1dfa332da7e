/** One stream of a visitor's HTTP/2 connection: its request is written as HTTP/1.1, and its response is written to the stream. */
import { constants, type ServerHttp2Stream } from 'node:http2'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  chunkOf,
  http1LastChunk,
  http1RequestHead,
  type RawFields,
  type RequestHead,
  RequestHeadParser,
} from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, INITIAL_WINDOW_BYTES, LINGER_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { containedEvents, type Subscribe } from '../../h2/contained-events.ts'
import { EndOfMessage } from '../../h2/end-of-message.ts'
import type { Downstream, Ending } from '../../proxy/downstream.ts'
import type { ProxyContext } from '../../proxy/proxy-context.ts'
import { ProxyRequest } from '../../proxy/proxy-request.ts'
import type { VisitorHost } from '../inbound-context.ts'
import type { Expirable } from '../sweeper.ts'
import { Http2ResponseWriter } from './http2-response-writer.ts'

/** The connection, as its streams see it. */
export interface Http2StreamHost {
  readonly clientAddress: string
  readonly addressKey: string
  readonly context: ProxyContext
  readonly host: VisitorHost
  /** Whether a request may wait for its agent: the node goes on. */
  readonly mayWait: boolean
  /** Whether a stream had a request before this one. */
  readonly begun: boolean
  /** The visitor has reset the stream before its response had ended. */
  resetByVisitor(): void
  /** As `Downstream.defer`. */
  defer(ready: () => void): (() => void) | undefined
  /** The stream holds fewer bytes than before. */
  relieved(): void
}

type State =
  | 'request'
  /** The response has been taken; the visitor may still be sending what nobody wants. */
  | 'done'
  | 'gone'

const { NGHTTP2_CANCEL, NGHTTP2_HTTP_1_1_REQUIRED, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } =
  constants

export class Http2Stream implements Downstream, Expirable {
  deadline: number
  readonly clientAddress: string
  readonly addressKey: string
  readonly receivedBy = '2.0'
  readonly mayKeepAlive = true
  readonly bindsStreams = false
  readonly request: ProxyRequest
  readonly #stream: ServerHttp2Stream
  /** Subscribes to an event of the stream. */
  readonly #on: Subscribe
  readonly #connection: Http2StreamHost
  readonly #parser = new RequestHeadParser()
  readonly #response: Http2ResponseWriter
  #head: RequestHead | undefined
  #state: State = 'request'
  #trailers: RawFields = []
  readonly #endOfRequest: EndOfMessage
  #requestEnded: boolean
  #subscribed = false
  /** The request takes no bytes just now. */
  #held = false
  /** Bytes of the body that are to be delivered again, before all others. */
  #again: Buffer[] = []
  /** A byte of the response was written. */
  #responding = false

  /** `raw`: the fields of its head. `ended`: nothing follows them. */
  constructor(stream: ServerHttp2Stream, raw: RawFields, ended: boolean, connection: Http2StreamHost) {
    const { context, host } = connection
    this.#stream = stream
    this.#connection = connection
    this.#requestEnded = ended
    this.clientAddress = connection.clientAddress
    this.addressKey = connection.addressKey
    this.request = new ProxyRequest(this, context, host, connection.begun)
    // node:http2 tells of a stream only after all that came with its head.
    this.#endOfRequest = new EndOfMessage(stream, ended || (!stream.closed && stream.state.remoteClose === 1))
    this.#on = containedEvents(stream, (error) => this.#crash(error))
    this.#response = new Http2ResponseWriter(stream, methodOf(raw), this.#on, () => this.#written())
    this.deadline = host.deadlineIn(HEAD_TIMEOUT_MS)
    // An error of the stream ends it, and 'close' follows.
    stream.on('error', () => {})
    this.#on('trailers', (_fields: unknown, _flags: number, trailers?: RawFields) => {
      this.#trailers = trailers ?? []
    })
    this.#on('aborted', () => this.#resetByVisitor())
    this.#on('finish', () => this.#responseSent())
    this.#on('close', () => this.#closed())
    try {
      this.#readHead(raw)
    } catch (error) {
      this.#crash(error)
    }
  }

  /** What it holds or may soon hold of a response that the visitor does not read, in bytes: all that a local server may send at once, until it does. */
  get weight(): number {
    if (this.#state !== 'request' || !this.request.sending) return 0
    return this.#responding ? this.#stream.writableLength : INITIAL_WINDOW_BYTES
  }

  expire(): void {
    switch (this.#state) {
      case 'request':
        return this.request.expire()
      case 'done':
      case 'gone':
        // Its reset has not been sent, or not in time.
        if (this.#stream.closed) return void this.#stream.destroy()
        // RFC 9113 §8.1: a response that ended before its request asks for no more of it, without an error.
        return this.#close(this.#stream.writableFinished ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR)
    }
  }

  // ── what its request asks for ─────────────────────────────────────────────────────────────────────────────────────

  get mayWait(): boolean {
    return this.#connection.mayWait
  }

  write(bytes: Buffer): boolean {
    this.#responding = true
    this.#response.write(bytes)
    return this.#stream.writableLength === 0
  }

  defer(ready: () => void): (() => void) | undefined {
    return this.#connection.defer(ready)
  }

  /** Only after an upgrade, which HTTP/2 does not have. */
  endWriting(): void {}

  setReading(on: boolean): void {
    this.#held = !on
    if (on) this.#deliverAgain()
    if (!this.#subscribed) return this.#subscribe()
    if (this.#held) this.#stream.pause()
    else this.#stream.resume()
  }

  putBack(pieces: readonly Buffer[]): void {
    this.#again.unshift(...pieces)
    // Nothing further is read until what was sent has been sent again.
    if (this.#subscribed) this.#stream.pause()
  }

  /** The stream is told of a reset at any time. */
  probe(): void {}

  expireIn(ms: number): void {
    this.deadline = this.#connection.host.deadlineIn(ms)
  }

  done(ending: Ending): void {
    if (this.#state === 'gone') return
    switch (ending) {
      case 'keep-alive':
      case 'close':
        return this.#end()
      case 'cut':
        this.#state = 'gone'
        return this.#close(NGHTTP2_INTERNAL_ERROR)
      case 'http1-required':
        this.#state = 'gone'
        return this.#close(NGHTTP2_HTTP_1_1_REQUIRED)
      case 'abandoned':
        this.#state = 'gone'
        if (!this.#stream.closed) this.#close(NGHTTP2_CANCEL)
    }
  }

  // ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────

  #readHead(raw: RawFields): void {
    let bytes: Buffer | undefined
    try {
      bytes = http1RequestHead(raw, this.#requestEnded)
      this.#head = this.#parser.parse(bytes, 0, bytes.length)
      if (this.#head === undefined) throw new TunnelFault('request-invalid', 'The head has no end.')
    } catch (error) {
      return this.request.refuseUnread(toFault(error, 'request-invalid'), bytes?.length ?? 0, 'HTTP/2.0')
    }
    this.request.begin(this.#head, bytes.length, 'HTTP/2.0')
  }

  #deliverAgain(): void {
    for (const piece of this.#again.splice(0))
      if (this.request.takesBytes) this.request.bodyBytes(piece, 0, piece.length)
  }

  /** From now on the body comes; until then no more of it than a window. */
  #subscribe(): void {
    this.#subscribed = true
    this.#on('data', (chunk: Buffer) => this.#read(chunk))
    this.#on('end', () => this.#readEnd())
    if (this.#held) this.#stream.pause()
    // The end of an empty body is not held back until somebody reads: the event has been, and does not come again.
    if (this.#stream.readableEnded && !this.#requestEnded) this.#readEnd()
  }

  #read(chunk: Buffer): void {
    if (!this.request.takesBytes) return
    const bytes = this.#head!.framing === 'chunked' ? chunkOf(chunk, 0, chunk.length) : chunk
    this.request.bodyBytes(bytes, 0, bytes.length)
  }

  #readEnd(): void {
    if (!this.#endOfRequest.received) return
    this.#requestEnded = true
    if (!this.request.takesBytes) return
    try {
      // A body that is shorter than it said is no request (RFC 9113 §8.1.1); trailers have no place behind one of a given length.
      if (this.#head!.framing !== 'chunked') throw new TunnelFault('request-invalid', 'The body is not whole.')
      const last = http1LastChunk(this.#trailers, 'request')
      this.request.bodyBytes(last, 0, last.length)
    } catch (error) {
      this.#state = 'gone'
      this.#close(NGHTTP2_PROTOCOL_ERROR)
      this.request.abort(toFault(error, 'request-invalid'))
      this.#connection.resetByVisitor()
    }
  }

  // ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Something that was written has left for the visitor. */
  #written(): void {
    if (this.#stream.writableLength > 0) return
    try {
      if (this.#state === 'request') this.request.drained()
      this.#connection.relieved()
    } catch (error) {
      this.#crash(error)
    }
  }

  #end(): void {
    this.#state = 'done'
    this.expireIn(VISITOR_IDLE_MS)
    // What still comes of the request is dropped, so that its visitor comes to read the response.
    this.#stream.resume()
    if (this.#stream.writableFinished) this.#responseSent()
  }

  #responseSent(): void {
    if (this.#state === 'done' && !this.#stream.readableEnded) this.expireIn(LINGER_MS)
  }

  // ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #resetByVisitor(): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.request.visitorGone()
    this.#connection.resetByVisitor()
  }

  #closed(): void {
    if (this.#state !== 'done') this.#resetByVisitor()
    this.#state = 'gone'
    this.#parser.release()
  }

  /** Code of this stream threw: it ends, and nothing else. */
  #crash(error: unknown): void {
    this.#state = 'gone'
    this.#close(NGHTTP2_INTERNAL_ERROR)
    if (this.request.active) this.request.abort(toFault(error))
    else this.#connection.host.crashed(error)
  }

  /** A reset waits behind what the visitor does not read, but not for long. */
  #close(code: number): void {
    this.#stream.close(code)
    this.expireIn(LINGER_MS)
  }
}

const methodOf = (raw: RawFields): string => {
  const at = raw.indexOf(':method')
  return at === -1 ? 'GET' : raw[at + 1]!
}
