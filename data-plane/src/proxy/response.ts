/** Passes a response on from its stream to the visitor: heads written anew, the body to its end, credit as the visitor takes it. */
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
import { HEAD_UNCREDITED_BYTES, IDLE_STREAM_MS } from '@postern/protocol/limits'
import type { ByteStream } from '@postern/protocol/mux'
import type { ResponseChanges } from '../route/visitor-gate.ts'
import type { RequestRecord } from './request-record.ts'
import { SERVICE_RESTART, WebSocketFrames } from './websocket-frames.ts'

/** What reads responses; one serves all requests of a connection. */
interface ResponseReader {
  readonly heads: ResponseHeadParser
  readonly body: BodyBoundary
}

export interface ResponseOptions {
  readonly reader: ResponseReader
  /** Of the request. */
  readonly head: RequestHead
  readonly record: RequestRecord
  /** False: the response says `Connection: close`, whatever the two sides would like. */
  readonly mayKeepAlive: boolean
  readonly cookies: CookieFence
  /** As `Downstream.mostListBytes`. */
  readonly mostListBytes?: number | undefined
  /** What becomes of the response's heads. */
  readonly changes: ResponseChanges | undefined
}

/** How far the request has come. */
export interface SentRequest {
  readonly done: boolean
  readonly sentBytes: number
}

/** Takes the response. */
export interface ResponseSink {
  /** True: nothing waits in this process. False: `drained` follows when nothing does. */
  write(bytes: Buffer): boolean
  /** The head of the final response has come; nothing of it was written. What it throws refuses the response. */
  answered(head: ResponseHead): void
  /** A cookie of that name does not go on. */
  cookieDropped(name: string): void
}

/** Whether a WebSocket's visitor was sent a Close of ours: `due` waits for the end of the frame that is under way. */
type CloseFrame = 'none' | 'due' | 'sent'

export type ResponseState =
  /** Nothing of the final response has been written; there may have been interim ones. */
  | 'awaited'
  | 'body'
  | 'whole'
  /** After a 101: bytes pass as they are. */
  | 'spliced'

const CONTINUE = 100

/** HTTP/1.1 carries three digits (RFC 9110 §15 leaves it to the client what 600 to 999 mean), `node:http2` refuses these. */
const HTTP2_HIGHEST_STATUS = 599

/** Up to this, the beginning of a body is copied behind its head, which costs less than a write of two buffers. */
const JOINED_BYTES = 16 * 1024

export class Response {
  state: ResponseState = 'awaited'
  /** Whether the visitor's connection may carry another request after this response. */
  keepAlive = false
  /** How long the local server keeps the connection for another request: 0 if it does not, or if it has sent more than the response. */
  originIdleMs = 0
  /**
   * The visitor waits for a 100 that does not come: whether it still sends its body is not known (RFC 9110 §10.1.1), so the response says close
   * and the connection ends behind it.
   */
  declined = false
  readonly #options: ResponseOptions
  readonly #sink: ResponseSink
  readonly #sent: SentRequest
  readonly #parser: ResponseHeadParser
  readonly #body: BodyBoundary
  #carry: HeadCarry | undefined
  #dechunker: Dechunker | undefined
  /** What it has found in the bytes at hand. */
  #dechunked: Buffer[] | undefined
  /** Of an upgrade to WebSocket. */
  #frames: WebSocketFrames | undefined
  #closeFrame: CloseFrame = 'none'
  /** The body is delimited by the close, and the visitor gets it in chunks. */
  #chunking = false
  #openEnded = false
  /** A 100 was passed on. */
  #continued = false
  /** An interim response said close, or had odd lines. */
  #originCloses = false
  /** What the sink answered last: whether the visitor has taken all that it was given. */
  #taken = true
  /** Bytes of the stream's window that are not given back yet, because the visitor has not taken all or a head is not whole. */
  #owed = 0

  constructor(options: ResponseOptions, sink: ResponseSink, sent: SentRequest) {
    this.#options = options
    this.#sink = sink
    this.#sent = sent
    this.#parser = options.reader.heads
    this.#body = options.reader.body
    this.#parser.answer(options.head.method, options.head.upgrade !== undefined)
  }

  /** Takes what came on the stream. @throws TunnelFault `origin-invalid` */
  read(chunk: Buffer, stream: ByteStream): void {
    switch (this.state) {
      case 'body':
        this.#readBody(chunk)
        break
      case 'spliced':
        if (this.#frames === undefined) this.#write(chunk)
        else this.#readFrames(this.#frames, chunk)
        break
      case 'awaited':
        this.#readHead(chunk)
        break
      case 'whole':
        // Whatever it is, it must not become the answer to another request.
        this.originIdleMs = 0
    }
    this.#credit(chunk.length, stream)
  }

  /** The stream has ended: what that makes of the response. */
  streamEnded(): 'cut' | 'whole' | 'spliced' {
    if (this.state === 'body' && this.#body.end() === 'complete') {
      if (this.#chunking) this.#write(LAST_CHUNK)
      this.state = 'whole'
    }
    return this.state === 'whole' || this.state === 'spliced' ? this.state : 'cut'
  }

  /** A body that goes on until the local server ends it: how much is left of it is not known. */
  get openEnded(): boolean {
    return this.state === 'body' && this.#openEnded
  }

  /** Whether the visitor has taken all that it was given: nothing of it waits in this process. */
  get taken(): boolean {
    return this.#taken
  }

  /**
   * Sends a WebSocket's visitor a Close frame, now or at the end of the frame that is under way; what the local server sends after that is
   * dropped. False if this is no WebSocket, or one whose local server has closed it already.
   */
  sendClose(): boolean {
    if (this.#frames === undefined || this.#frames.closed) return false
    if (this.#closeFrame === 'none') this.#closeFrame = 'due'
    this.#sendCloseIfDue(this.#frames)
    return true
  }

  get closeSent(): boolean {
    return this.#closeFrame === 'sent'
  }

  /** The visitor has taken everything: the stream gets its credit. */
  drained(stream: ByteStream): void {
    this.#taken = true
    this.#credit(0, stream)
  }

  /** Lets go of what is half read. */
  release(): void {
    this.#parser.release()
    this.#carry = undefined
  }

  #readHead(chunk: Buffer): void {
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
      if (head === undefined) return this.#keepPart(buffer, from, to)
      from += head.bytes
      if (!head.interim) return this.#begin(head, buffer, from, to)
      this.#continued ||= head.status === CONTINUE
      this.#originCloses ||= !head.keepAlive
      if (this.#options.head.version === 11) this.#write(this.#written(head, true))
    }
  }

  #keepPart(buffer: Buffer, from: number, to: number): void {
    if (this.#carry !== undefined && from === 0) return
    const part = new HeadCarry()
    part.append(buffer, from, to)
    this.#carry = part
  }

  #begin(head: ResponseHead, buffer: Buffer, from: number, to: number): void {
    const { record, head: request, mayKeepAlive } = this.#options
    if (head.status > HTTP2_HIGHEST_STATUS && record.protocol === 'HTTP/2.0')
      throw new TunnelFault('origin-invalid', `node:http2 sends no status above ${HTTP2_HIGHEST_STATUS}.`)
    this.#checkList(head)
    this.#sink.answered(head)
    record.answered(head.status)
    if (head.status === 101) {
      const written = this.#written(head, true, buffer, from, to)
      this.release()
      this.state = 'spliced'
      if (request.upgrade?.toLowerCase() === 'websocket') {
        this.#frames = new WebSocketFrames()
        this.#frames.advance(buffer, from, to)
      }
      return this.#write(written)
    }
    this.declined = request.expectContinue && !this.#continued && !this.#sent.done && this.#sent.sentBytes === 0
    this.keepAlive = mayKeepAlive && request.keepAlive && !this.declined && keepsVisitor(head, request.version)
    // Node's servers read nothing further on a connection on which they have declined an upgrade.
    const mayGoOn = head.keepAlive && !this.#originCloses && request.upgrade === undefined
    this.originIdleMs = mayGoOn ? idleTime(head) : 0
    if (needsDechunking(head, request.version)) this.#dechunker = this.#newDechunker()
    this.#chunking = needsChunking(head, request.version)
    this.#openEnded = head.framing === 'chunked' || head.framing === 'close'
    this.#body.start(head.framing, head.contentLength)
    const end = this.#advance(buffer, from, to)
    const { passTo } = this.#body
    const changed = this.#dechunker !== undefined || this.#chunking || this.#body.rewritten
    if (changed || passTo - from > JOINED_BYTES) {
      this.#write(this.#written(head, this.keepAlive))
      this.#passOn(buffer, from, end)
    } else {
      this.#write(this.#written(head, this.keepAlive, buffer, from, passTo))
      this.#writeTail()
    }
    this.release()
    if (end < to) this.originIdleMs = 0
  }

  /** A larger one would end the visitor's connection, with all other requests on it. */
  #checkList(head: ResponseHead): void {
    const { mostListBytes } = this.#options
    if (mostListBytes === undefined || listBytes(head) <= mostListBytes) return
    throw new TunnelFault(
      'origin-invalid',
      `The head is larger than the ${mostListBytes} bytes that the visitor takes (RFC 9113 §6.5.2).`,
    )
  }

  #readBody(chunk: Buffer): void {
    const end = this.#advance(chunk, 0, chunk.length)
    this.#passOn(chunk, 0, end)
    // The local server sent more than the response.
    if (end < chunk.length) this.originIdleMs = 0
  }

  #readFrames(frames: WebSocketFrames, chunk: Buffer): void {
    if (this.#closeFrame === 'sent') return
    const end = frames.advance(chunk, 0, chunk.length, this.#closeFrame === 'due')
    if (end > 0) this.#write(chunk.subarray(0, end))
    this.#sendCloseIfDue(frames)
  }

  #sendCloseIfDue(frames: WebSocketFrames): void {
    if (this.#closeFrame !== 'due' || !frames.between) return
    this.#closeFrame = 'sent'
    if (!frames.closed) this.#write(SERVICE_RESTART)
  }

  #advance(buffer: Buffer, from: number, to: number): number {
    const end = this.#body.advance(buffer, from, to)
    if (this.#body.odd) this.originIdleMs = 0
    this.state = this.#body.done ? 'whole' : 'body'
    return end
  }

  #passOn(buffer: Buffer, from: number, end: number): void {
    if (this.#dechunker !== undefined) {
      this.#dechunker.advance(buffer, from, end)
      this.#writeDechunked()
    } else if (this.#chunking) {
      // A chunk of no bytes would end the body.
      if (end > from) this.#write(chunkOf(buffer, from, end))
    } else {
      const passed = this.#body.passed(buffer, from)
      if (passed.length > 0) this.#write(passed)
      this.#writeTail()
    }
  }

  /** In one write: each costs some hundred bytes while it waits, and chunks may be of one byte. */
  #writeDechunked(): void {
    const pieces = this.#dechunked?.splice(0) ?? []
    if (pieces.length > 0) this.#write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))
  }

  /** Trailers, of which some may not go on. */
  #writeTail(): void {
    const tail = this.#body.takeTail()
    if (tail !== undefined) this.#write(tail)
  }

  #write(bytes: Buffer): void {
    this.#taken = this.#sink.write(bytes)
  }

  /**
   * Gives `bytes` and all that is owed back to the stream's window, unless the visitor has yet to take something. What is kept of an unfinished head stays
   * owed, so that it counts as held.
   */
  #credit(bytes: number, stream: ByteStream): void {
    const owed = this.#owed + bytes
    const kept = this.#carry === undefined ? 0 : Math.min(this.#carry.length, HEAD_UNCREDITED_BYTES, owed)
    this.#owed = this.#taken ? kept : owed
    if (owed > this.#owed) stream.consume(owed - this.#owed)
  }

  #newDechunker(): Dechunker {
    const pieces: Buffer[] = []
    this.#dechunked = pieces
    const dechunker = new Dechunker((bytes, start, end) => pieces.push(bytes.subarray(start, end)))
    dechunker.start()
    return dechunker
  }

  /** The head as the visitor gets it, with the beginning of the body behind it, if given. */
  #written(head: ResponseHead, keepAlive: boolean, buffer?: Buffer, from = 0, to = 0): Buffer {
    const { record, cookies, changes } = this.#options
    const serverTiming = head.interim ? '' : record.serverTiming
    const forwarding = {
      visitorVersion: this.#options.head.version,
      keepAlive,
      requestId: record.id,
      cookies,
      dropped: this.#sink,
      serverTiming,
    }
    return writeResponseHead(
      head,
      changes === undefined ? forwarding : { ...forwarding, ...changes },
      buffer && { buffer, from, to },
    )
  }
}

/** More than our own fields count in a header list: Date, Postern-Request-Id and Server-Timing are some 280. What a tunnel's rules add is not known here. */
const ADDED_LIST_BYTES = 512

/** With the fields that are added. A field counts 32 bytes more than its name and value, which stand here with a colon, a blank and a line end. */
const listBytes = ({ bytes, lines }: ResponseHead): number => bytes + 28 * lines.count + ADDED_LIST_BYTES

/** A second less than the local server says, or what most servers grant. */
function idleTime(head: ResponseHead): number {
  const told = head.keepAliveTimeoutMs
  return told === undefined ? IDLE_STREAM_MS : Math.max(0, Math.min(IDLE_STREAM_MS, told - 1000))
}
