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
import {
  HEAD_TIMEOUT_MS,
  LINGER_MS,
  STREAM_BACKLOG_BYTES,
  TRAILER_BYTES,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import { containedEvents, type Subscribe } from '../../h2/contained-events.ts'
import { EndOfMessage } from '../../h2/end-of-message.ts'
import { GatedInput } from '../../h2/gated-input.ts'
import type { Downstream, Ending } from '../../proxy/downstream.ts'
import type { ProxyContext } from '../../proxy/proxy-context.ts'
import { ProxyRequest } from '../../proxy/proxy-request.ts'
import type { VisitorHost } from '../inbound-context.ts'
import type { Expirable } from '../sweeper.ts'
import type { WeighedStream } from './connection-load.ts'
import { Http2ResponseWriter } from './http2-response-writer.ts'
import { StreamLoad } from './stream-load.ts'

/** The connection, as its streams see it. */
export interface Http2StreamHost {
  readonly clientAddress: string
  readonly addressKey: string
  /** As `Downstream.proxies`. */
  readonly proxies: Downstream['proxies']
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
  /** The stream holds so many bytes more than before. It may be evicted, but not before the caller is done. */
  burdened(bytes: number): void
}

type State =
  | 'request'
  /** The response has been taken; the visitor may still be sending what nobody wants. */
  | 'done'
  | 'gone'

const {
  NGHTTP2_CANCEL,
  NGHTTP2_HTTP_1_1_REQUIRED,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants

export class Http2Stream implements Downstream, Expirable, WeighedStream {
  deadline: number
  readonly clientAddress: string
  readonly addressKey: string
  readonly proxies: Http2StreamHost['proxies']
  readonly receivedBy = '2.0'
  readonly mayKeepAlive = true
  readonly bindsStreams = false
  readonly request: ProxyRequest
  readonly load: StreamLoad
  readonly #stream: ServerHttp2Stream
  /** Subscribes to an event of the stream. */
  readonly #on: Subscribe
  readonly #connection: Http2StreamHost
  readonly #parser = new RequestHeadParser()
  readonly #response: Http2ResponseWriter
  readonly #input: GatedInput
  #head: RequestHead | undefined
  #state: State = 'request'
  /** What ends the body, with its trailers, or why they are none. */
  #lastChunk: Buffer | TunnelFault = NO_TRAILERS
  readonly #endOfRequest: EndOfMessage
  /** Bytes of the body that are to be delivered again, before all others. */
  #again: Buffer[] = []
  /** Bytes that the visitor had taken when that was looked at last. */
  #taken = 0
  /** It was deferred once, and is no longer. */
  #admitted = false

  /** `raw`: the fields of its head. `ended`: nothing follows them. */
  constructor(stream: ServerHttp2Stream, raw: RawFields, ended: boolean, connection: Http2StreamHost) {
    const { context, host } = connection
    this.#stream = stream
    this.#connection = connection
    this.clientAddress = connection.clientAddress
    this.addressKey = connection.addressKey
    this.proxies = connection.proxies
    this.request = new ProxyRequest(this, context, host, connection.begun)
    this.#on = containedEvents(stream, (error) => this.#crash(error))
    resetsLater(stream)
    this.#response = new Http2ResponseWriter(stream, methodOf(raw), this.#on, {
      uploads: () => !this.load.bodyEnded,
      taken: () => this.#drained(),
    })
    this.#input = new GatedInput({
      stream,
      on: this.#on,
      data: (chunk) => this.#read(chunk),
      end: () => this.#readEnd(),
      waits: (bytes) => connection.burdened(bytes),
    })
    // node:http2 tells of a stream only after all that came with its head.
    this.#endOfRequest = new EndOfMessage(stream, ended || (!stream.closed && stream.state.remoteClose === 1))
    this.load = new StreamLoad(this.request, this.#response, this.#input)
    this.load.bodyEnded = ended
    this.deadline = host.deadlineIn(HEAD_TIMEOUT_MS)
    // An error of the stream ends it, and 'close' follows.
    stream.on('error', () => {})
    this.#on('trailers', (_fields: unknown, _flags: number, trailers: RawFields = []) => this.#keepTrailers(trailers))
    this.#on('aborted', () => this.#resetByVisitor())
    this.#on('finish', () => this.#responseSent())
    this.#on('close', () => this.#closed())
    try {
      this.#readHead(raw)
    } catch (error) {
      this.#crash(error)
    }
  }

  /** All that is left is for the visitor to take what it was answered. */
  get isAnswered(): boolean {
    return this.#state !== 'request' || this.request.answeredSince !== undefined
  }

  /** A request that was not sent may be sent again as it is (RFC 9113 §8.7). */
  evict(): void {
    const why = new TunnelFault('body-timeout', 'The visitor left too much unread on its connection.')
    const code = this.load.sending || this.#state !== 'request' ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_REFUSED_STREAM
    this.#state = 'gone'
    this.load.drop()
    this.#stream.close(code)
    setImmediate(() => this.#stream.destroy())
    this.request.abort(why)
  }

  expire(): void {
    try {
      this.#expire()
    } catch (error) {
      this.#crash(error)
    }
  }

  #expire(): void {
    switch (this.#state) {
      case 'request':
        // The visitor has reset it with NO_ERROR, of which node:http2 says nothing while a whole response waits.
        if (this.#stream.closed && !this.#stream.writableFinished) return void this.#stream.destroy()
        this.request.expire()
        // Whether a request is deferred depends on the time, too.
        return this.#connection.relieved()
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

  get mostListBytes(): number | undefined {
    return this.#stream.session?.remoteSettings.maxHeaderListSize
  }

  write(bytes: Buffer): boolean {
    this.load.response(bytes.length, this.#now())
    const waited = this.#response.waiting > 0
    this.#response.write(bytes)
    const waits = this.#response.waiting > 0
    if (waits && !waited) this.#taken = this.#response.taken
    const { bodyWaiting, interimBytes } = this.#response
    if (bodyWaiting > 0 || interimBytes > 0) this.#connection.burdened(bytes.length)
    return !waits
  }

  defer(ready: () => void): (() => void) | undefined {
    this.load.sent(this.#now())
    if (this.#admitted) return undefined
    return this.#connection.defer(() => {
      this.#admitted = true
      ready()
    })
  }

  progressed(): boolean {
    const before = this.#taken
    this.#taken = this.#response.taken
    return this.#taken > before
  }

  /** Only after an upgrade, which HTTP/2 does not have. */
  endWriting(): void {}

  setReading(on: boolean): void {
    this.load.stalled = !on
    if (on) {
      this.#deliverAgain()
      if (!this.load.stalled) return this.#readOn()
    }
    this.#input.pause()
    this.#connection.burdened(STREAM_BACKLOG_BYTES)
  }

  putBack(pieces: readonly Buffer[]): void {
    this.#again.unshift(...pieces)
    for (const { length } of pieces) this.load.againBytes += length
    this.#connection.burdened(this.load.againBytes)
    // Nothing further is read until what was sent has been sent again.
    this.#input.pause()
  }

  /** A stream reports a reset at any time. */
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
      bytes = http1RequestHead(raw, this.load.bodyEnded)
      this.load.headBytes = bytes.length
      this.#head = this.#parser.parse(bytes, 0, bytes.length)
      if (this.#head === undefined) throw new TunnelFault('request-invalid', 'The head has no end.')
    } catch (error) {
      return this.request.refuseUnread(toFault(error, 'request-invalid'), bytes?.length ?? 0, 'HTTP/2.0')
    }
    this.request.begin(this.#head, bytes.length, 'HTTP/2.0')
  }

  #deliverAgain(): void {
    this.load.againBytes = 0
    for (const piece of this.#again.splice(0))
      if (this.request.takesBytes) this.request.bodyBytes(piece, 0, piece.length)
  }

  #read(chunk: Buffer): void {
    if (!this.request.takesBytes) return
    this.load.body(chunk.length, this.#now())
    const bytes = this.#head!.framing === 'chunked' ? chunkOf(chunk, 0, chunk.length) : chunk
    this.request.bodyBytes(bytes, 0, bytes.length)
    if (this.request.keptBytes > 0) this.#connection.burdened(bytes.length)
  }

  /** They may wait for long, and nothing else bounds them: what is longer than they may be is refused by its beginning. */
  #keepTrailers(trailers: RawFields): void {
    try {
      const last = http1LastChunk(trailers, 'request')
      this.#lastChunk = Buffer.from(last.subarray(0, NO_TRAILERS.length + TRAILER_BYTES))
      this.load.trailerBytes = this.#lastChunk.length
      this.#connection.burdened(this.#lastChunk.length)
    } catch (error) {
      this.#lastChunk = toFault(error, 'request-invalid')
    }
  }

  #readOn(): void {
    this.#input.resume()
    // It may have come before its request was sent.
    if (this.load.bodyEnded) this.#readEnd()
  }

  #readEnd(): void {
    if (!this.#endOfRequest.received) return
    this.load.bodyEnded = true
    if (!this.request.takesBytes) return
    try {
      // A body that is shorter than it said is no request (RFC 9113 §8.1.1); trailers have no place behind one of a given length.
      if (this.#head!.framing !== 'chunked') throw new TunnelFault('request-invalid', 'The body is not whole.')
      const last = this.#lastChunk
      if (last instanceof TunnelFault) throw last
      this.request.bodyBytes(last, 0, last.length)
    } catch (error) {
      this.#state = 'gone'
      this.#close(NGHTTP2_PROTOCOL_ERROR)
      this.request.abort(toFault(error, 'request-invalid'))
      this.#connection.resetByVisitor()
    }
  }

  // ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

  #now(): number {
    return this.#connection.host.deadlineIn(0)
  }

  /** All that was written has left for the visitor. */
  #drained(): void {
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
    this.#input.resume()
    if (this.#stream.writableFinished) this.#responseSent()
  }

  #responseSent(): void {
    if (this.#state === 'done' && !this.#stream.readableEnded) this.expireIn(LINGER_MS)
  }

  // ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #resetByVisitor(): void {
    if (this.#state === 'gone') return
    // It has the whole response, and need not send the rest of its request.
    const hasResponse = this.#state === 'request' && this.#stream.writableFinished
    if (hasResponse) this.request.visitorEnded()
    this.#state = 'gone'
    if (hasResponse && !this.request.active) return
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

/**
 * A reset sends what the session has to send, and that may free streams that nghttp2 is still reading: none happens inside an event.
 *
 * `node:http2` closes a stream as soon as its response is out if nothing of the request was read, as while the local server takes nothing of it. The local server
 * may read the rest. It calls `close` without a code, which nothing here does.
 */
function resetsLater(stream: ServerHttp2Stream): void {
  const close = stream.close.bind(stream)
  stream.close = (code, callback) => {
    if (code !== undefined) setImmediate(() => close(code, callback))
  }
}

const NO_TRAILERS = http1LastChunk([], 'request')

const methodOf = (raw: RawFields): string => {
  const at = raw.indexOf(':method')
  return at === -1 ? 'GET' : raw[at + 1]!
}
