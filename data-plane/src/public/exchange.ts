/** One request and its response over one stream: when it is sent again, when it is over, and as what. Knows nothing of the visitor's next request. */
import { type FaultCode, TunnelFault, toFault } from '@postern/protocol/fault'
import type { BodyBoundary, CookieFence, RequestHead } from '@postern/protocol/http'
import { BODY_IDLE_MS, ORIGIN_FIRST_BYTE_MS, UPGRADE_END_MS } from '@postern/protocol/limits'
import type { StreamListener } from '@postern/protocol/mux'
import { Leftover } from '../route/leftover.ts'
import type { Asker, Lease, Route } from '../route/route.ts'
import type { ResponseChanges } from '../route/visitor-gate.ts'
import type { RequestRecord } from './request-record.ts'
import { RequestSender } from './request-sender.ts'
import { type ResponseReader, ResponseRelay } from './response-relay.ts'

/** The visitor's connection, as an exchange sees it. */
export interface Visitor {
  /** Where the visitor comes from. */
  readonly clientAddress: string
  /** False: enough for now; `visitorDrained` follows. */
  write(bytes: Buffer): boolean
  /** No more writing; the other direction goes on. */
  endWriting(): void
  /** Whether request bytes shall come just now. */
  setReading(on: boolean): void
  /** Expires the exchange unless it is set again before; milliseconds from now, Infinity for never. */
  expireIn(ms: number): void
  /** The last call of an exchange. */
  exchangeOver(outcome: Outcome): void
}

export type Outcome =
  /** The response went out whole, at that time if it is known; monotonic milliseconds. */
  | { readonly kind: 'complete'; readonly keepAlive: boolean; readonly at: number | undefined }
  /** Nothing of a response went out: the visitor is to be told. `requestEnded`: the next byte is a new request. */
  | { readonly kind: 'fault'; readonly fault: TunnelFault; readonly requestEnded: boolean }
  /**
   * The channel went before a byte of the response came, or its task has it no more, and the request may be sent again, elsewhere: nothing is
   * lost yet. `body` is what of it was sent.
   */
  | { readonly kind: 'homeless'; readonly fault: TunnelFault; readonly body: readonly Buffer[] }
  /** A part went out and must not look whole. */
  | { readonly kind: 'cut'; readonly fault: TunnelFault }
  /** The visitor left. */
  | { readonly kind: 'abandoned' }

export interface ExchangeRequest {
  readonly head: RequestHead
  /** The head as the local server shall see it. */
  readonly headBytes: Buffer
  readonly record: RequestRecord
  /** False when the task drains: the response says `Connection: close`. */
  readonly mayKeepAlive: boolean
  /** Whether it may end `homeless`. */
  readonly mayMove: boolean
  readonly cookies: CookieFence
  /** What becomes of the response's heads. */
  readonly changes: ResponseChanges | undefined
  /** Finds the end of the request's body. */
  readonly body: BodyBoundary
  readonly reader: ResponseReader
}

/** Why streams of a channel are reset that is over. */
const CHANNEL_GONE: ReadonlySet<FaultCode> = new Set<FaultCode>(['channel-lost', 'channel-closed'])

export class Exchange implements StreamListener, Asker {
  readonly requestId: string
  readonly #visitor: Visitor
  readonly #record: RequestRecord
  readonly #route: Route
  readonly #request: RequestSender
  readonly #response: ResponseRelay
  readonly #version: 10 | 11
  readonly #idempotent: boolean
  readonly #mayMove: boolean
  /** Without a body, and may be done twice: all that is needed to send it elsewhere is the head. */
  readonly #movable: boolean
  #lease: Lease
  /** A byte of the response came. */
  #heard = false
  /** It came before the request had ended: what becomes of the rest is the local server's affair, and the stream is not used again. */
  #early = false
  #visitorEnded = false
  #originEnded = false
  #goingAway = false
  #over = false

  /** Sends the head at once. @throws TunnelFault when the route has no stream. */
  constructor(visitor: Visitor, route: Route, request: ExchangeRequest) {
    const { head, headBytes, record, mayKeepAlive, mayMove, cookies, changes, body, reader } = request
    this.requestId = record.id
    this.#visitor = visitor
    this.#record = record
    this.#route = route
    this.#version = head.version
    this.#idempotent = head.idempotent
    this.#mayMove = mayMove
    this.#movable = head.idempotent && head.framing === 'none'
    this.#request = new RequestSender(head, headBytes, body)
    this.#response = new ResponseRelay({
      reader,
      request: head,
      record,
      mayKeepAlive,
      cookies,
      changes,
      visitor,
      sent: this.#request,
    })
    this.#lease = route.lease(head.version === 10 ? 'fresh' : this.#idempotent ? 'idle' : 'young', this)
    this.#lease.stream.listen(this)
    this.#request.begin(
      this.#lease.stream,
      this.#lease.reused || this.#lease.tentative === true || (mayMove && this.#idempotent),
    )
    this.#setDeadline()
  }

  /** For whoever has the tunnel, when it is asked for a stream. */
  get visitorAddress(): string {
    return this.#visitor.clientAddress
  }

  // ── the visitor ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether the visitor's next bytes belong to this exchange. */
  get takesBytes(): boolean {
    return !this.#request.done || this.#response.state === 'spliced'
  }

  /** Sends on what of [from, to) belongs to this exchange; answers the index behind it. */
  visitorBytes(chunk: Buffer, from: number, to: number): number {
    if (this.#response.state === 'spliced') {
      this.#record.bytesIn += to - from
      if (!this.#lease.stream.write(chunk.subarray(from, to))) this.#visitor.setReading(false)
      return to
    }
    let end: number
    try {
      end = this.#request.measure(chunk, from, to)
    } catch (error) {
      this.#record.bytesIn += to - from
      this.#abandon(toFault(error))
      return to
    }
    this.#record.bytesIn += end - from
    const { stream, tentative = false } = this.#lease
    if (end > from && !this.#request.send(chunk, from, stream, tentative)) this.#visitor.setReading(false)
    if (this.#request.done && this.#response.state === 'whole') this.#bothWhole()
    else this.#setDeadline()
    return end
  }

  /** The visitor sends nothing further. It may still be reading: the local server is told just that, and decides. */
  visitorEnded(): void {
    if (!this.#request.done) return this.visitorGone()
    this.#visitorEnded = true
    this.#lease.stream.end()
    this.#judgeSplice()
  }

  visitorGone(): void {
    if (this.#over) return
    const { stream } = this.#lease
    // Its Close, and the end behind it, are still on their way to the local server: a reset would overtake them.
    if (this.#visitorEnded && this.#response.farewellSaid) stream.listen(new Leftover(stream))
    else stream.reset()
    this.#end({ kind: 'abandoned' })
  }

  visitorDrained(): void {
    if (this.#response.settled) return
    this.#response.drained(this.#lease.stream)
    this.#setDeadline()
  }

  /** Bytes of the body that the visitor has sent; undefined once it has sent the whole request. */
  get uploaded(): number | undefined {
    return this.#request.done ? undefined : this.#request.sentBytes
  }

  /** Others need its stream, and its visitor keeps it waiting. */
  giveWay(): void {
    this.#abandon(new TunnelFault('body-timeout', 'The visitor was slow while others needed its place.'))
  }

  /**
   * The task stops, and can wait no longer: a WebSocket is closed with 1012 between two frames, so that its visitor comes again; what is
   * half-way is cut, and who waits for an answer is told.
   */
  goAway(): void {
    if (this.#over || this.#goingAway) return
    if (!this.#response.sayFarewell()) return this.#abandon(new TunnelFault('server-draining'))
    this.#goingAway = true
    this.#visitor.expireIn(UPGRADE_END_MS)
    this.#endAfterFarewell()
  }

  /** The time that `expireIn` gave is over. */
  expire(): void {
    if (this.#response.farewellSaid) {
      // It has been told; a reset now might take that from it.
      this.#lease.stream.reset()
      return this.#end({ kind: 'complete', keepAlive: false, at: undefined })
    }
    const silent = this.#request.done && this.#response.state === 'awaited'
    this.#abandon(new TunnelFault(silent ? 'origin-timeout' : 'body-timeout'))
  }

  // ── the stream ────────────────────────────────────────────────────────────────────────────────────────────────────

  data(chunk: Buffer): void {
    if (!this.#heard) {
      this.#heard = true
      this.#early = !this.#request.done
      this.#request.forget()
    }
    const before = this.#response.state
    try {
      this.#response.read(chunk, this.#lease.stream)
    } catch (error) {
      return this.#abandon(toFault(error, 'origin-invalid'))
    }
    const { state } = this.#response
    if (state === 'whole') return before === 'whole' ? undefined : this.#responseWhole(before === 'awaited')
    this.#setDeadline()
    if (this.#goingAway) this.#endAfterFarewell()
    if (state === 'spliced' && before !== 'spliced') this.#visitor.setReading(true)
  }

  end(): void {
    this.#originEnded = true
    if (this.#response.state === 'awaited') return this.#failOrRepeat(new TunnelFault('origin-closed'))
    if (this.#response.state === 'whole') return this.#endEarly()
    const ended = this.#response.streamEnded()
    if (ended === 'cut') return this.#abandon(new TunnelFault('origin-closed', 'The response broke off.'))
    if (ended === 'whole') return this.#responseWhole()
    this.#visitor.endWriting()
    this.#judgeSplice()
  }

  reset(why: TunnelFault): void {
    this.#originEnded = true
    if (this.#response.state === 'whole') return this.#endEarly()
    this.#failOrRepeat(why)
  }

  writable(): void {
    this.#visitor.setReading(true)
  }

  // ── when it is over ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Its visitor answers with a Close of its own, which still goes to the local server. */
  #endAfterFarewell(): void {
    if (this.#response.farewellSaid) this.#visitor.endWriting()
  }

  #setDeadline(): void {
    const { state, settled } = this.#response
    if (this.#goingAway) return
    if (state === 'spliced') return this.#visitor.expireIn(Infinity)
    if (state === 'awaited' && this.#request.done) return this.#visitor.expireIn(ORIGIN_FIRST_BYTE_MS)
    // A visitor that does not read has until the deadline that was set while it still did.
    if (settled) this.#visitor.expireIn(BODY_IDLE_MS)
  }

  /**
   * A kept stream may have been closed by the local server just as we used it, or a channel may have gone. What the local server certainly
   * did not act on (`unsent`), or may safely be done twice (RFC 9110 §9.2.2), is sent once more: on a fresh stream, or by another channel.
   */
  #failOrRepeat(why: TunnelFault): void {
    const failure = this.#lease.failure()
    const unsent = failure?.unsent === true
    const again = this.#request.repeatable && (this.#idempotent || unsent)
    const gone = CHANNEL_GONE.has(why.code) || failure?.next === 'elsewhere'
    if (gone && this.#mayMove && !this.#heard && (again || this.#movable) && (unsent || !this.#visitorEnded)) {
      this.#lease.stream.reset()
      return this.#end({ kind: 'homeless', fault: failure?.fault ?? why, body: this.#request.kept })
    }
    const maySurprise = this.#lease.reused || this.#lease.tentative === true
    if (!again || !maySurprise || failure?.next !== undefined) {
      const fault = why.code === 'stream-reset' ? new TunnelFault('origin-closed', undefined, { cause: why }) : why
      return this.#abandon(failure?.fault ?? fault)
    }
    this.#originEnded = false
    this.#lease.stream.reset()
    try {
      this.#lease = this.#route.lease('fresh', this)
    } catch (error) {
      const fault = toFault(error)
      return CHANNEL_GONE.has(fault.code) ? this.#moveOn(fault) : this.#abandon(fault)
    }
    this.#lease.stream.listen(this)
    this.#record.retries += 1
    const room = this.#request.repeat(this.#lease.stream, this.#lease.tentative === true)
    if (this.#visitorEnded) this.#lease.stream.end()
    this.#visitor.setReading(room)
  }

  /** Its channel is gone: the name may have another one. */
  #moveOn(why: TunnelFault): void {
    if (!this.#mayMove || this.#visitorEnded) return this.#abandon(why)
    this.#end({ kind: 'homeless', fault: why, body: this.#request.kept })
  }

  /** `atOnce`: it came in one piece. */
  #responseWhole(atOnce = false): void {
    if (this.#request.done) this.#bothWhole(atOnce ? this.#record.answeredAt : undefined)
    else if (this.#originEnded || this.#response.unasked) this.#endEarly()
    // Otherwise the local server answered early; it may still want the rest of the request, and the visitor may still send it.
  }

  /** The local server answered, and hung up or asked for no body, while the request was still coming: the rest of it goes nowhere. */
  #endEarly(): void {
    this.#lease.stream.reset()
    this.#end({ kind: 'complete', keepAlive: false, at: undefined })
  }

  #bothWhole(at?: number): void {
    const lease = this.#lease
    this.#response.drained(lease.stream)
    const clean = !this.#early && !this.#visitorEnded && !this.#originEnded && this.#version === 11
    if (clean && this.#response.originIdleMs > 0) lease.keep(this.#response.originIdleMs)
    else lease.leave()
    this.#end({ kind: 'complete', keepAlive: this.#response.keepAlive && !this.#visitorEnded, at })
  }

  #judgeSplice(): void {
    const both = this.#visitorEnded && this.#originEnded
    if (this.#response.state === 'spliced' && both) this.#end({ kind: 'complete', keepAlive: false, at: undefined })
  }

  /** Gives the stream up, if it still lives; the visitor is told, or cut off if it has a part of the response already. */
  #abandon(fault: TunnelFault): void {
    if (this.#over) return
    this.#lease.stream.reset()
    if (this.#response.state !== 'awaited') return this.#end({ kind: 'cut', fault })
    this.#end({ kind: 'fault', fault, requestEnded: this.#request.done && !this.#visitorEnded })
  }

  #end(outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    this.#response.release()
    this.#visitor.exchangeOver(outcome)
  }
}
