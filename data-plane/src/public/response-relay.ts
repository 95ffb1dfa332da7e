/** Passes a response on from its stream to the visitor: heads written anew, the body to its end, credit as the visitor reads. Knows nothing of the request's fate. */
import { TunnelFault } from '@postern/protocol/fault'
import {
  type BodyBoundary,
  type CookieFence,
  chunkOf,
  Dechunker,
  HeadCarry,
  keepsVisitor,
  LAST_CHUNK,
  needsChunking,
  needsDechunking,
  type RequestHead,
  type ResponseHead,
  type ResponseHeadParser,
  writeResponseHead,
} from '@postern/protocol/http'
import { IDLE_STREAM_MS, INTERIM_RESPONSES } from '@postern/protocol/limits'
import type { ByteStream } from '@postern/protocol/mux'
import type { ResponseChanges } from '../route/visitor-gate.ts'
import type { RequestRecord } from './request-record.ts'
import { SERVICE_RESTART, WebSocketFrames } from './websocket-frames.ts'

/** What reads responses; a visitor's connection keeps one from each exchange to the next. */
export interface ResponseReader {
  readonly heads: ResponseHeadParser
  readonly body: BodyBoundary
}

export interface ResponseRelayOptions {
  readonly reader: ResponseReader
  readonly request: RequestHead
  readonly record: RequestRecord
  /** False: the response says `Connection: close`, whatever the two sides would like. */
  readonly mayKeepAlive: boolean
  readonly cookies: CookieFence
  readonly changes: ResponseChanges | undefined
  readonly visitor: ResponseReceiver
  /** How far the request has come. */
  readonly sent: { readonly done: boolean; readonly sentBytes: number }
}

/** Who gets the response. */
interface ResponseReceiver {
  /** False: enough for now; `drained` follows. */
  write(bytes: Buffer): boolean
}

/** Whether a WebSocket's visitor was told that the service restarts: `due` waits for the end of the frame that is under way. */
type Farewell = 'none' | 'due' | 'said'

export type ResponseState =
  /** Nothing of the final response has been written; there may have been interim ones. */
  | 'awaited'
  | 'body'
  | 'whole'
  /** After a 101: bytes pass as they are. */
  | 'spliced'

/** HTTP/1.1 carries three digits (RFC 9110 §15 leaves it to the client what 600 to 999 mean), `node:http2` refuses these. */
const HTTP2_HIGHEST_STATUS = 599

/** Up to this, the beginning of a body is copied behind its head, which costs less than a write of two buffers. */
const JOINED_BYTES = 16 * 1024

export class ResponseRelay {
  state: ResponseState = 'awaited'
  /** Whether the visitor's connection may carry another request after this response. */
  keepAlive = false
  /**
   * The visitor waits for a 100 that does not come: whether it still sends its body is not known (RFC 9110 §10.1.1), so the response says close
   * and the connection ends behind it.
   */
  unasked = false
  /** How long the local server keeps the connection for another request: 0 if it does not, or if it has sent more than the response. */
  originIdleMs = 0
  readonly #options: ResponseRelayOptions
  readonly #visitorVersion: 10 | 11
  readonly #parser: ResponseHeadParser
  readonly #body: BodyBoundary
  #carry: HeadCarry | undefined
  #dechunker: Dechunker | undefined
  /** Of an upgrade to WebSocket. */
  #frames: WebSocketFrames | undefined
  #farewell: Farewell = 'none'
  /** The body is delimited by the close, and the visitor gets it in chunks. */
  #chunking = false
  #interims = 0
  /** A 100 was passed on. */
  #continued = false
  #visitorFull = false
  /** Bytes that wait in the visitor's socket and are not yet given back to the stream's window. */
  #owed = 0

  constructor(options: ResponseRelayOptions) {
    this.#options = options
    this.#visitorVersion = options.request.version
    this.#parser = options.reader.heads
    this.#body = options.reader.body
    this.#parser.answer(options.request.method, options.request.upgrade !== undefined)
  }

  /** Takes what came on the stream. @throws TunnelFault `origin-invalid` */
  read(chunk: Buffer, stream: ByteStream): void {
    switch (this.state) {
      case 'body':
        return this.#readBody(chunk, stream)
      case 'spliced':
        return this.#frames === undefined
          ? this.#deliver(chunk, chunk.length, stream)
          : this.#readFrames(this.#frames, chunk, stream)
      case 'awaited':
        return this.#readHead(chunk, stream)
      case 'whole':
        this.#tooMuch(chunk.length, stream)
    }
  }

  /** The stream has ended: what that makes of the response. */
  streamEnded(): 'cut' | 'whole' | 'spliced' {
    if (this.state === 'body' && this.#body.end() === 'complete') {
      if (this.#chunking) this.#options.visitor.write(LAST_CHUNK)
      this.state = 'whole'
    }
    return this.state === 'whole' || this.state === 'spliced' ? this.state : 'cut'
  }

  /** Whether the visitor has read all that it was given. */
  get settled(): boolean {
    return this.#owed === 0
  }

  /**
   * Tells a WebSocket's visitor that the service restarts, now or at the end of the frame that is under way; what the local server sends
   * after that goes nowhere. False if this is none, or one whose local server has closed it already.
   */
  sayFarewell(): boolean {
    if (this.#frames === undefined || this.#frames.closed) return false
    if (this.#farewell === 'none') this.#farewell = 'due'
    this.#sayIfDue(this.#frames)
    return true
  }

  get farewellSaid(): boolean {
    return this.#farewell === 'said'
  }

  /** The visitor has room again: the stream gets its credit. */
  drained(stream: ByteStream): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) stream.consume(owed)
  }

  /** Lets go of what is half read. */
  release(): void {
    this.#parser.release()
    this.#carry = undefined
  }

  #readHead(chunk: Buffer, stream: ByteStream): void {
    let buffer = chunk
    let from = 0
    let to = chunk.length
    if (this.#carry !== undefined) {
      this.#carry.append(chunk, 0, chunk.length)
      buffer = this.#carry.buffer
      to = this.#carry.length
    }
    for (;;) {
      const head = this.#parser.parse(buffer, from, to)
      if (head === undefined) {
        this.#keepPart(buffer, from, to)
        return stream.consume(chunk.length)
      }
      from += head.bytes
      // Bytes of this chunk that belonged to heads have moved on; the rest is credited with the body.
      if (!head.interim) return this.#begin(head, buffer, from, to, chunk.length - (to - from), stream)
      if (++this.#interims > INTERIM_RESPONSES) throw new TunnelFault('origin-invalid', 'Too many interim responses.')
      this.#continued ||= head.status === 100
      if (this.#visitorVersion === 11) this.#options.visitor.write(this.#written(head, true))
    }
  }

  #keepPart(buffer: Buffer, from: number, to: number): void {
    if (this.#carry !== undefined && from === 0) return
    const part = new HeadCarry()
    part.append(buffer, from, to)
    this.#carry = part
  }

  /** `credit`: bytes of the stream's window that the heads took. */
  #begin(head: ResponseHead, buffer: Buffer, from: number, to: number, credit: number, stream: ByteStream): void {
    const { record, request, mayKeepAlive, sent } = this.#options
    if (head.status > HTTP2_HIGHEST_STATUS && record.protocol === 'HTTP/2.0')
      throw new TunnelFault('origin-invalid', `node:http2 sends no status above ${HTTP2_HIGHEST_STATUS}.`)
    record.answered(head.status)
    if (head.status === 101) {
      const written = this.#written(head, true, buffer, from, to)
      this.release()
      this.state = 'spliced'
      if (request.upgrade?.toLowerCase() === 'websocket') {
        this.#frames = new WebSocketFrames()
        this.#frames.advance(buffer, from, to)
      }
      return this.#deliver(written, credit + to - from, stream)
    }
    this.unasked = request.expectContinue && !this.#continued && !sent.done && sent.sentBytes === 0
    this.keepAlive = mayKeepAlive && !this.unasked && request.keepAlive && keepsVisitor(head, this.#visitorVersion)
    // Node's servers read nothing further on a connection on which they have declined an upgrade.
    this.originIdleMs = head.keepAlive && request.upgrade === undefined ? idleTime(head) : 0
    if (needsDechunking(head, this.#visitorVersion)) this.#dechunker = this.#newDechunker()
    this.#chunking = needsChunking(head, this.#visitorVersion)
    this.#body.start(head.framing, head.contentLength)
    const end = this.#advance(buffer, from, to)
    const { passTo } = this.#body
    if (this.#dechunker !== undefined || this.#chunking || passTo - from > JOINED_BYTES) {
      stream.consume(credit)
      this.#options.visitor.write(this.#written(head, this.keepAlive))
      this.#passOn(buffer, from, end, stream)
    } else {
      this.#deliver(this.#written(head, this.keepAlive, buffer, from, passTo), credit + end - from, stream)
      this.#deliverTail(stream)
    }
    this.release()
    if (end < to) this.#tooMuch(to - end, stream)
  }

  #readBody(chunk: Buffer, stream: ByteStream): void {
    const end = this.#advance(chunk, 0, chunk.length)
    this.#passOn(chunk, 0, end, stream)
    if (end < chunk.length) this.#tooMuch(chunk.length - end, stream)
  }

  #readFrames(frames: WebSocketFrames, chunk: Buffer, stream: ByteStream): void {
    if (this.#farewell === 'said') return stream.consume(chunk.length)
    const end = frames.advance(chunk, 0, chunk.length, this.#farewell === 'due')
    this.#deliver(chunk.subarray(0, end), chunk.length, stream)
    this.#sayIfDue(frames)
  }

  #sayIfDue(frames: WebSocketFrames): void {
    if (this.#farewell !== 'due' || !frames.between) return
    this.#farewell = 'said'
    if (!frames.closed) this.#options.visitor.write(SERVICE_RESTART)
  }

  #advance(buffer: Buffer, from: number, to: number): number {
    const end = this.#body.advance(buffer, from, to)
    this.state = this.#body.done ? 'whole' : 'body'
    return end
  }

  #passOn(buffer: Buffer, from: number, end: number, stream: ByteStream): void {
    if (this.#dechunker !== undefined) this.#deliverDechunked(this.#dechunker, buffer, from, end, stream)
    else if (this.#chunking) {
      // A chunk of no bytes would end the body.
      if (end > from) this.#deliver(chunkOf(buffer, from, end), end - from, stream)
    } else {
      this.#deliver(buffer.subarray(from, this.#body.passTo), end - from, stream)
      this.#deliverTail(stream)
    }
  }

  /** Trailers: their credit was given with the pieces that they came in. */
  #deliverTail(stream: ByteStream): void {
    const tail = this.#body.takeTail()
    if (tail !== undefined) this.#deliver(tail, 0, stream)
  }

  /** `credit` bytes of the stream's window are given back as soon as the visitor takes more. */
  #deliver(bytes: Buffer, credit: number, stream: ByteStream): void {
    if (bytes.length > 0 && !this.#options.visitor.write(bytes)) this.#owed += credit
    else if (credit > 0) stream.consume(credit)
  }

  #newDechunker(): Dechunker {
    const dechunker = new Dechunker((bytes, start, end) => {
      this.#visitorFull = !this.#options.visitor.write(bytes.subarray(start, end))
    })
    dechunker.start()
    return dechunker
  }

  #deliverDechunked(dechunker: Dechunker, buffer: Buffer, from: number, end: number, stream: ByteStream): void {
    dechunker.advance(buffer, from, end)
    if (this.#visitorFull) this.#owed += end - from
    else if (end > from) stream.consume(end - from)
  }

  /** The local server sent more than the response: whatever it is, it must not become the answer to another request. */
  #tooMuch(bytes: number, stream: ByteStream): void {
    this.originIdleMs = 0
    stream.consume(bytes)
  }

  /** The head as the visitor gets it, with the beginning of the body behind it, if given. */
  #written(head: ResponseHead, keepAlive: boolean, buffer?: Buffer, from = 0, to = 0): Buffer {
    const { record, cookies, changes } = this.#options
    const serverTiming = head.interim ? '' : record.serverTiming
    const forwarding = { visitorVersion: this.#visitorVersion, keepAlive, requestId: record.id, cookies, serverTiming }
    return writeResponseHead(
      head,
      changes === undefined ? forwarding : { ...forwarding, ...changes },
      buffer && { buffer, from, to },
    )
  }
}

/** A second less than the local server says, or what most servers grant. */
function idleTime(head: ResponseHead): number {
  const told = head.keepAliveTimeoutMs
  return told === undefined ? IDLE_STREAM_MS : Math.max(0, Math.min(IDLE_STREAM_MS, told - 1000))
}
