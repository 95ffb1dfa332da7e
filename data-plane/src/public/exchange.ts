/** One request and its response over one stream. Knows the framing of both messages, nothing of the visitor's next request. */
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  BodyBoundary,
  type CookieFence,
  Dechunker,
  HeadCarry,
  keepsVisitor,
  needsDechunking,
  type RequestHead,
  type ResponseHead,
  ResponseHeadParser,
  writeResponseHead,
} from '@postern/protocol/http'
import {
  BODY_IDLE_MS,
  IDLE_STREAM_MS,
  INTERIM_RESPONSES,
  ORIGIN_FIRST_BYTE_MS,
  REPLAY_BYTES,
} from '@postern/protocol/limits'
import type { StreamListener } from '@postern/protocol/mux'
import type { Lease, Route } from '../route/route.ts'

/** The visitor's connection, as an exchange sees it. */
export interface Visitor {
  /** False: enough for now; `visitorDrained` follows. */
  write(bytes: Buffer): boolean
  /** No more writing; the other direction goes on. */
  endWriting(): void
  /** Whether request bytes shall come just now. */
  setReading(on: boolean): void
  /** Expires the exchange unless it is set again before; monotonic milliseconds from now, Infinity for never. */
  expireIn(ms: number): void
  /** The last call of an exchange. */
  exchangeOver(outcome: Outcome): void
}

export type Outcome =
  /** The response went out whole. */
  | { readonly kind: 'complete'; readonly keepAlive: boolean }
  /** Nothing of a response went out: the visitor is to be told. `requestEnded`: the next byte is a new request. */
  | { readonly kind: 'fault'; readonly fault: TunnelFault; readonly requestEnded: boolean }
  /** A part went out and must not look whole. */
  | { readonly kind: 'cut'; readonly fault: TunnelFault }
  /** The visitor left. */
  | { readonly kind: 'abandoned' }

export interface ExchangeRequest {
  readonly head: RequestHead
  /** The head as the local server shall see it. */
  readonly headBytes: Buffer
  readonly id: string
  /** False when the task drains: the response says `Connection: close`. */
  readonly mayKeepAlive: boolean
  readonly cookies: CookieFence
}

type RequestState = 'sending' | 'sent'
type ResponseState = 'awaited' | 'body' | 'whole' | 'spliced'

/** Up to this, a head and the beginning of its body are copied together, which costs less than a write of two buffers. */
const JOINED_BYTES = 16 * 1024

export class Exchange implements StreamListener {
  readonly #visitor: Visitor
  readonly #route: Route
  readonly #request: ExchangeRequest
  readonly #visitorVersion: 10 | 11
  readonly #idempotent: boolean
  readonly #requestBody = new BodyBoundary('request')
  readonly #responseBody = new BodyBoundary('response')
  readonly #parser = new ResponseHeadParser()
  #lease: Lease
  #requestState: RequestState = 'sending'
  #responseState: ResponseState = 'awaited'
  /** What was sent after the head, while it may have to be sent again; undefined once it may not. */
  #replay: Buffer[] | undefined
  #replayBytes = 0
  #carry: HeadCarry | undefined
  #dechunker: Dechunker | undefined
  #visitorFull = false
  #interims = 0
  /** A byte of the response came: nothing is sent a second time. */
  #heard = false
  #visitorEnded = false
  #originEnded = false
  /** The local server is ready for another request on this stream, for so long. */
  #reusableMs = 0
  #keepAlive = false
  /** Bytes of the response that wait in the visitor's socket and are not yet given back to the stream's window. */
  #owed = 0
  #over = false

  /** Sends the head at once. @throws TunnelFault when the route has no stream. */
  constructor(visitor: Visitor, route: Route, request: ExchangeRequest) {
    const { head } = request
    this.#visitor = visitor
    this.#route = route
    this.#request = request
    this.#visitorVersion = head.version
    this.#idempotent = head.idempotent
    this.#requestBody.start(head.framing, head.contentLength)
    this.#parser.answer(head.method, head.upgrade !== undefined)
    this.#lease = route.lease(head.version === 10 ? 'fresh' : this.#idempotent ? 'idle' : 'young')
    if (this.#lease.reused) this.#replay = []
    this.#lease.stream.listen(this)
    this.#lease.stream.write(request.headBytes)
    if (this.#requestBody.done) this.#requestSent()
    else visitor.expireIn(BODY_IDLE_MS)
  }

  /** Whether the visitor's next bytes belong to this exchange. */
  get takesBytes(): boolean {
    return this.#requestState === 'sending' || this.#responseState === 'spliced'
  }

  /** Sends on what of [from, to) belongs to this exchange; answers the index behind it. */
  visitorBytes(chunk: Buffer, from: number, to: number): number {
    if (this.#responseState === 'spliced') {
      this.#send(chunk.subarray(from, to))
      return to
    }
    let end: number
    try {
      end = this.#requestBody.advance(chunk, from, to)
    } catch (error) {
      this.#fail(toFault(error), true)
      return to
    }
    if (end > from) this.#sendBody(chunk.subarray(from, end))
    if (this.#requestBody.done) this.#requestSent()
    return end
  }

  /** The visitor sends nothing further. It may still be reading: the local server is told just that, and decides. */
  visitorEnded(): void {
    if (this.#requestState === 'sending' && this.#responseState !== 'spliced') return this.visitorGone()
    this.#visitorEnded = true
    this.#lease.stream.end()
    this.#spliceEnded()
  }

  visitorGone(): void {
    if (this.#over) return
    this.#lease.stream.reset()
    this.#end({ kind: 'abandoned' })
  }

  visitorDrained(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed === 0) return
    this.#visitor.expireIn(this.#responseState === 'spliced' ? Infinity : BODY_IDLE_MS)
    this.#lease.stream.consume(owed)
  }

  /** The time that `expireIn` gave is over. */
  expire(): void {
    const waited = this.#requestState === 'sent' && this.#responseState === 'awaited'
    this.#fail(new TunnelFault(waited ? 'origin-timeout' : 'body-timeout'), true)
  }

  // ── the stream ────────────────────────────────────────────────────────────────────────────────────────────────────

  data(chunk: Buffer): void {
    this.#heard = true
    this.#replay = undefined
    if (this.#responseState === 'body') this.#relayBody(chunk, 0)
    else if (this.#responseState === 'spliced') this.#deliver(chunk, chunk.length)
    else if (this.#responseState === 'awaited') this.#readHead(chunk)
    else this.#unsolicited(chunk.length)
  }

  end(): void {
    this.#originEnded = true
    switch (this.#responseState) {
      case 'awaited':
        return this.#failOrRetry(new TunnelFault('origin-closed'))
      case 'body':
        if (this.#responseBody.end() === 'complete') return this.#responseWhole()
        return this.#fail(new TunnelFault('origin-closed', 'The response broke off.'), true)
      case 'spliced':
        this.#visitor.endWriting()
        return this.#spliceEnded()
      case 'whole':
        return this.#endEarly()
    }
  }

  reset(why: TunnelFault): void {
    this.#originEnded = true
    if (this.#responseState === 'whole') return this.#endEarly()
    this.#failOrRetry(why)
  }

  writable(): void {
    this.#visitor.setReading(true)
  }

  // ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────

  #sendBody(piece: Buffer): void {
    if (this.#replay !== undefined) {
      this.#replayBytes += piece.length
      if (this.#replayBytes <= REPLAY_BYTES) this.#replay.push(piece)
      else this.#replay = undefined
    }
    this.#visitor.expireIn(BODY_IDLE_MS)
    this.#send(piece)
  }

  #send(piece: Buffer): void {
    if (!this.#lease.stream.write(piece)) this.#visitor.setReading(false)
  }

  #requestSent(): void {
    this.#requestState = 'sent'
    if (this.#responseState === 'awaited') this.#visitor.expireIn(ORIGIN_FIRST_BYTE_MS)
    else if (this.#responseState === 'whole') this.#bothWhole()
  }

  /**
   * A kept stream may have been closed by the local server just as we used it. What it certainly did not act on
   * (`unsent`), or may safely be done twice (RFC 9110 §9.2.2), is sent once more on a fresh one.
   */
  #failOrRetry(why: TunnelFault): void {
    const failure = this.#lease.failure()
    const repeatable = this.#lease.reused && !this.#heard && (this.#idempotent || failure?.unsent === true)
    if (!repeatable || this.#replay === undefined) {
      const fault = why.code === 'stream-reset' ? new TunnelFault('origin-closed', undefined, { cause: why }) : why
      return this.#fail(failure?.fault ?? fault, false)
    }
    const kept = this.#replay
    this.#replay = undefined
    this.#originEnded = false
    this.#lease.stream.reset()
    try {
      this.#lease = this.#route.lease('fresh')
    } catch (error) {
      return this.#fail(toFault(error), false)
    }
    const { stream } = this.#lease
    stream.listen(this)
    stream.write(this.#request.headBytes)
    let room = true
    for (const piece of kept) room = stream.write(piece)
    if (this.#visitorEnded) stream.end()
    this.#visitor.setReading(room)
  }

  // ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

  #readHead(chunk: Buffer): void {
    let buffer = chunk
    let from = 0
    let to = chunk.length
    if (this.#carry !== undefined) {
      this.#carry.append(chunk, 0, chunk.length)
      buffer = this.#carry.buffer
      to = this.#carry.length
    }
    try {
      for (;;) {
        const head = this.#parser.parse(buffer, from, to)
        if (head === undefined) return this.#keepPart(chunk, buffer, from, to)
        from += head.bytes
        if (!head.interim) return this.#headCame(head, chunk, buffer, from, to)
        if (++this.#interims > INTERIM_RESPONSES) throw new TunnelFault('origin-invalid', 'Too many interim responses.')
        if (this.#visitorVersion === 11) this.#visitor.write(this.#written(head, true))
      }
    } catch (error) {
      this.#fail(toFault(error, 'origin-invalid'), true)
    }
  }

  /** Not a whole head yet: what is there is copied, so the stream may have its window back. */
  #keepPart(chunk: Buffer, buffer: Buffer, from: number, to: number): void {
    if (this.#carry === undefined || from > 0) {
      const part = new HeadCarry()
      part.append(buffer, from, to)
      this.#carry = part
    }
    this.#lease.stream.consume(chunk.length)
  }

  #headCame(head: ResponseHead, chunk: Buffer, buffer: Buffer, from: number, to: number): void {
    if (head.status === 101) return this.#splice(head, chunk, buffer, from, to)
    const { mayKeepAlive, head: requestHead } = this.#request
    this.#keepAlive = mayKeepAlive && requestHead.keepAlive && keepsVisitor(head, this.#visitorVersion)
    // Node's servers read nothing further on a connection on which they have declined an upgrade.
    const reusable = head.keepAlive && this.#requestState === 'sent' && requestHead.upgrade === undefined
    if (reusable) this.#reusableMs = idleTime(head)
    const written = this.#written(head, this.#keepAlive)
    if (needsDechunking(head, this.#visitorVersion)) {
      this.#dechunker = new Dechunker((bytes, start, end) => {
        this.#visitorFull = !this.#visitor.write(bytes.subarray(start, end))
      })
      this.#dechunker.start()
    }
    this.#responseBody.start(head.framing, head.contentLength)
    this.#responseState = 'body'
    // Bytes of this chunk that belonged to the head have moved on; with a carry the body's part lies in the carry's buffer.
    this.#lease.stream.consume(chunk.length - (to - from))
    this.#carry = undefined
    this.#parser.release()
    this.#visitor.expireIn(BODY_IDLE_MS)
    this.#relayBody(buffer, from, to, written)
  }

  #relayBody(buffer: Buffer, from: number, to = buffer.length, head?: Buffer): void {
    let end: number
    try {
      end = this.#responseBody.advance(buffer, from, to)
    } catch (error) {
      if (head !== undefined) this.#visitor.write(head)
      return this.#fail(toFault(error, 'origin-invalid'), true)
    }
    if (this.#dechunker !== undefined) this.#deliverDechunked(buffer, from, end, head)
    else this.#deliverWith(head, buffer, from, end)
    if (end < to) this.#unsolicited(to - end)
    if (this.#responseBody.done) this.#responseWhole()
  }

  #deliverWith(head: Buffer | undefined, buffer: Buffer, from: number, end: number): void {
    if (head !== undefined && end - from <= JOINED_BYTES)
      return this.#deliver(joined(head, buffer, from, end), end - from)
    if (head !== undefined) this.#visitor.write(head)
    this.#deliver(buffer.subarray(from, end), end - from)
  }

  #deliverDechunked(buffer: Buffer, from: number, end: number, head: Buffer | undefined): void {
    if (head !== undefined) this.#visitor.write(head)
    this.#dechunker!.advance(buffer, from, end)
    if (this.#visitorFull) this.#owed += end - from
    else this.#lease.stream.consume(end - from)
  }

  /** `credit` bytes of the stream's window are given back as soon as the visitor takes more. */
  #deliver(bytes: Buffer, credit: number): void {
    if (bytes.length === 0) return
    if (this.#visitor.write(bytes)) {
      if (credit > 0) this.#lease.stream.consume(credit)
      if (this.#responseState === 'body') this.#visitor.expireIn(BODY_IDLE_MS)
    } else this.#owed += credit
  }

  /** The local server sent more than the response: whatever it is, it must not become the answer to another request. */
  #unsolicited(bytes: number): void {
    this.#reusableMs = 0
    this.#lease.stream.consume(bytes)
  }

  #written(head: ResponseHead, keepAlive: boolean): Buffer {
    const { id, cookies } = this.#request
    return writeResponseHead(head, { visitorVersion: this.#visitorVersion, keepAlive, requestId: id, cookies })
  }

  #splice(head: ResponseHead, chunk: Buffer, buffer: Buffer, from: number, to: number): void {
    const written = this.#written(head, true)
    this.#responseState = 'spliced'
    this.#lease.stream.consume(chunk.length - (to - from))
    this.#carry = undefined
    this.#parser.release()
    this.#visitor.expireIn(Infinity)
    this.#deliver(joined(written, buffer, from, to), to - from)
    this.#visitor.setReading(true)
  }

  #spliceEnded(): void {
    if (this.#responseState === 'spliced' && this.#visitorEnded && this.#originEnded) {
      this.#end({ kind: 'complete', keepAlive: false })
    }
  }

  #responseWhole(): void {
    this.#responseState = 'whole'
    if (this.#requestState === 'sent') this.#bothWhole()
    else if (this.#originEnded) this.#endEarly()
    // Otherwise the local server answered early; it may still want the rest of the request, and the visitor may still send it.
  }

  /** The local server answered and hung up while the request was still coming: the rest of it goes nowhere. */
  #endEarly(): void {
    this.#lease.stream.reset()
    this.#end({ kind: 'complete', keepAlive: false })
  }

  #bothWhole(): void {
    if (this.#owed > 0) this.#lease.stream.consume(this.#owed)
    this.#owed = 0
    const lease = this.#lease
    const reusable = this.#reusableMs > 0 && !this.#visitorEnded && !this.#originEnded && this.#visitorVersion === 11
    const keepAlive = this.#keepAlive && !this.#visitorEnded
    if (reusable) lease.keep(this.#reusableMs)
    else if (!this.#originEnded) lease.leave()
    else lease.stream.end()
    this.#end({ kind: 'complete', keepAlive })
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #fail(fault: TunnelFault, streamAlive: boolean): void {
    if (this.#over) return
    if (streamAlive) this.#lease.stream.reset()
    if (this.#responseState !== 'awaited') return this.#end({ kind: 'cut', fault })
    this.#end({ kind: 'fault', fault, requestEnded: this.#requestState === 'sent' && !this.#visitorEnded })
  }

  #end(outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    this.#parser.release()
    this.#visitor.exchangeOver(outcome)
  }
}

/** How long a stream may wait for its next request: a second less than the local server says, or what most servers grant. */
function idleTime(head: ResponseHead): number {
  const told = head.keepAliveTimeoutMs
  return told === undefined ? IDLE_STREAM_MS : Math.max(0, Math.min(IDLE_STREAM_MS, told - 1000))
}

function joined(head: Buffer, body: Buffer, from: number, to: number): Buffer {
  if (from === to) return head
  const bytes = Buffer.allocUnsafe(head.length + to - from)
  head.copy(bytes, 0)
  body.copy(bytes, head.length, from, to)
  return bytes
}
