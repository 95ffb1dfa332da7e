/** One request and its response over one stream at a time: when it is sent again on the same route, when it is over, and as what. */
import type { NoticeKind } from '@postern/protocol/channel'
import { type FaultCode, TunnelFault, toFault } from '@postern/protocol/fault'
import type { BodyBoundary, ResponseHead } from '@postern/protocol/http'
import { BODY_IDLE_MS, UNREAD_REQUEST_MS, UPGRADE_END_MS } from '@postern/protocol/limits'
import type { StreamListener } from '@postern/protocol/mux'
import { requestSignsIn, responseOffersSignIn } from '../route/connection-sign-in.ts'
import type { Asker, Freshness, Lease, Route } from '../route/route.ts'
import { OriginPatience } from './origin-patience.ts'
import { RequestBody } from './request-body.ts'
import { Response, type ResponseOptions, type ResponseSink } from './response.ts'
import { decide } from './retry.ts'

/** The request, as its exchange sees it. */
export interface ExchangeHost {
  /** True: none of the bytes waits in this process. False: `drained` follows when none does. */
  write(bytes: Buffer): boolean
  /** Whether the visitor has taken a part of what waits since the last time, or since something waits. */
  progressed(): boolean
  endWriting(): void
  setReading(on: boolean): void
  /** Expires the exchange unless it is called again before; milliseconds from now, Infinity for never. */
  expireIn(ms: number): void
  /** Monotonic milliseconds. */
  now(): number
  /** The last call of an exchange. */
  exchangeOver(outcome: Outcome): void
}

export type Outcome =
  /** The visitor has taken the whole response; at that time if it is known, in monotonic milliseconds. `bound`: its stream, which carries this visitor's next requests. */
  | { readonly kind: 'complete'; readonly keepAlive: boolean; readonly at: number | undefined; readonly bound?: Lease }
  /** Nothing of a response went out. `requestEnded`: the next byte is a new request. */
  | { readonly kind: 'fault'; readonly fault: TunnelFault; readonly requestEnded: boolean }
  /** The channel is gone and nothing is lost: the request may be sent by another one. `body` is what was sent of it. */
  | { readonly kind: 'elsewhere'; readonly fault: TunnelFault; readonly body: readonly Buffer[] }
  /** A part went out and must not look whole. */
  | { readonly kind: 'cut'; readonly fault: TunnelFault }
  /** The visitor left. `reading`: only its writing has ended, inside its request. A part of a response went out, which must not look whole. */
  | { readonly kind: 'abandoned'; readonly reading?: boolean }
  /** A sign-in is bound to its connection, which this visitor's version of HTTP cannot offer. */
  | { readonly kind: 'http1-required' }

export interface ExchangeRequest extends ResponseOptions {
  /** When it is sent, in monotonic milliseconds. */
  readonly at: number
  /** Names the visitor and the request when a stream is opened. */
  readonly asker: Asker
  /** Nothing was sent for this visitor on its connection before: no stream that another visitor has just used is to be taken for it. */
  readonly first: boolean
  /** Whether it may end as `elsewhere`. */
  readonly mayMove: boolean
  /** Whether a stream can belong to the visitor's connection alone. */
  readonly bindsStreams: boolean
  /** Finds the end of the request's body. */
  readonly body: BodyBoundary
}

/** Why streams of a channel are reset that is over. */
const CHANNEL_GONE: ReadonlySet<FaultCode> = new Set<FaultCode>(['channel-lost', 'channel-closed'])

/** Methods whose bodies mean nothing (RFC 9110 §9.3.1): servers leave them unread, and read them as the next request. */
const BODY_UNREAD: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

export class Exchange implements StreamListener, ResponseSink {
  readonly #host: ExchangeHost
  readonly #route: Route
  readonly #asked: ExchangeRequest
  readonly #request: RequestBody
  readonly #response: Response
  readonly #patience: OriginPatience
  #lease: Lease
  /** The stream belongs to the visitor's connection alone. */
  #bound: boolean
  /** A byte of the response came. */
  #answered = false
  /** It came before the request had ended: what becomes of the rest is the local server's affair, and the stream is not used again. */
  #early = false
  #visitorEnded = false
  /** The local server has ended its writing. It may still be reading. */
  #originEnded = false
  /** The stream was reset: the local server takes nothing further. */
  #originGone = false
  #terminating = false
  #over = false
  /** The visitor has not taken all that it was given, and has its time for that. */
  #unread = false
  /** When the latest byte passed of a body, or after an upgrade. */
  #movedAt = 0
  #continuedAt = 0

  /** Sends `headBytes`, the head as the local server shall see it, at once: by `bound` if the visitor's connection has a stream of its own. @throws TunnelFault when the route has no stream. */
  constructor(host: ExchangeHost, route: Route, request: ExchangeRequest, headBytes: Buffer, bound?: Lease) {
    const { head, body, at } = request
    this.#host = host
    this.#route = route
    this.#asked = request
    this.#patience = new OriginPatience(route)
    this.#bound = bound !== undefined || requestSignsIn(head)
    this.#request = new RequestBody(head, headBytes, body)
    this.#response = new Response(request, this, this.#request)
    this.#lease = bound ?? route.lease(this.#freshness(), request.asker)
    this.#lease.stream.listen(this)
    this.#request.begin(this.#lease.stream, this.#mayBeStale || (request.mayMove && head.idempotent))
    this.#setDeadline(false, at)
  }

  // ── the visitor ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The request has been sent to its end. */
  get requestDone(): boolean {
    return this.#request.done
  }

  /** Whether the visitor's next bytes belong to this exchange. */
  get takesBytes(): boolean {
    return !this.#request.done || this.#response.state === 'spliced'
  }

  /** Sends on what of [from, to) belongs to this exchange; answers the index behind it. */
  visitorBytes(chunk: Buffer, from: number, to: number): number {
    if (this.#response.state === 'spliced') {
      this.#asked.record.bytesIn += to - from
      this.#movedAt = this.#host.now()
      if (!this.#lease.stream.write(chunk.subarray(from, to))) this.#host.setReading(false)
      return to
    }
    this.#movedAt = this.#host.now()
    let end: number
    try {
      end = this.#request.measure(chunk, from, to)
    } catch (error) {
      this.#asked.record.bytesIn += to - from
      this.#abandon(toFault(error))
      return to
    }
    this.#asked.record.bytesIn += end - from
    if (end > from) this.#sendBody(chunk, from)
    if (this.#request.done && this.#response.state === 'whole') this.#deliver()
    else this.#setDeadline(end > from)
    return end
  }

  /** The visitor sends nothing further. It may still be reading: the local server is told just that, and decides. */
  visitorEnded(): void {
    if (!this.#request.done && this.#response.state !== 'spliced') return this.#endInsideRequest()
    this.#visitorEnded = true
    this.#setDeadline()
    this.#lease.stream.end()
    this.#endIfBothEnded()
  }

  /** The request stays incomplete. The response goes out if the local server has sent all of it. */
  #endInsideRequest(): void {
    this.#visitorEnded = true
    const { state } = this.#response
    if (state === 'whole') return this.#deliver()
    this.#lease.reset()
    this.#end({ kind: 'abandoned', reading: state === 'body' })
  }

  visitorGone(): void {
    if (this.#over) return
    // The visitor's Close, and the end behind it, are still on their way to the local server: a reset would overtake them.
    if (this.#visitorEnded && this.#response.closeSent) this.#lease.leave(true)
    else this.#lease.reset()
    this.#end({ kind: 'abandoned' })
  }

  /** The visitor has taken all that it was given. */
  drained(): void {
    if (this.#over) return
    this.#response.drained(this.#lease.stream)
    if (this.#response.state === 'whole') this.#responseWhole()
    else this.#setDeadline()
  }

  /** Bytes of the body that the visitor has sent; undefined once it has sent the whole request, and while it waits for a 100 (RFC 9110 §10.1.1). */
  get uploaded(): number | undefined {
    const { done, sentBytes } = this.#request
    const awaitsContinue = this.#asked.head.expectContinue && !this.#answered && sentBytes === 0
    return done || awaitsContinue ? undefined : sentBytes
  }

  /** Bytes of the body that are kept because they may have to be sent again. */
  get keptBytes(): number {
    return this.#request.keptBytes
  }

  /** When the first answer to `Expect: 100-continue` came, in monotonic milliseconds; 0 before, and without that field. */
  get continuedAt(): number {
    return this.#continuedAt
  }

  /** When the latest byte of a body passed, or the latest after an upgrade, in monotonic milliseconds; 0 before any. */
  get movedAt(): number {
    return this.#movedAt
  }

  /** Its stream is needed for another visitor. A WebSocket gets a Close frame if it is between two frames. The visitor's next request does not take the stream back. */
  evict(why: TunnelFault): void {
    if (this.#onlyVisitorSends) return this.#endClosed()
    if (this.#response.sendClose() && this.#response.closeSent) return this.#endClosed()
    this.#abandon(why, true)
  }

  /** The node stops. A WebSocket is closed with 1012 between two frames, so that its visitor comes again; everything else ends now. */
  terminate(): void {
    if (this.#over || this.#terminating) return
    if (this.#onlyVisitorSends) return this.#endClosed()
    if (!this.#response.sendClose()) return this.#abandon(new TunnelFault('server-draining'))
    this.#terminating = true
    this.#host.expireIn(UPGRADE_END_MS)
    this.#endIfClosed()
  }

  /** The time that `expireIn` gave is over. */
  expire(): void {
    if (this.#response.closeSent) return this.#endClosed()
    if (this.#onlyUploads) return this.#endUpload()
    const { taken } = this.#response
    // Slow is not idle.
    if (!taken && !this.#terminating && this.#host.progressed()) return this.#host.expireIn(BODY_IDLE_MS)
    const silent = this.#request.done && this.#response.state === 'awaited'
    if (silent && this.#waitsOn()) return
    if (this.#mayBeSilent) return this.#host.expireIn(BODY_IDLE_MS)
    this.#abandon(new TunnelFault(silent ? 'origin-timeout' : 'body-timeout'))
  }

  // ── the stream: what throws here ends this request and nothing else ───────────────────────────────────────────────

  data(chunk: Buffer): void {
    try {
      this.#read(chunk)
    } catch (error) {
      this.crash(error)
    }
  }

  end(): void {
    try {
      this.#readEnd()
    } catch (error) {
      this.crash(error)
    }
  }

  reset(why: TunnelFault): void {
    try {
      this.#originGone = true
      if (this.#response.state !== 'whole') return this.#failOrRepeat(why)
      this.#responseWhole()
      // What the visitor still sends is dropped, so that it comes to read the response.
      if (!this.#over) this.writable()
    } catch (error) {
      this.crash(error)
    }
  }

  writable(): void {
    this.#host.setReading(true)
  }

  /** Code of this request threw. */
  crash(error: unknown): void {
    this.#abandon(toFault(error))
  }

  #read(chunk: Buffer): void {
    if (!this.#answered) {
      this.#answered = true
      this.#early = !this.#request.done
      if (this.#asked.head.expectContinue) this.#continuedAt = this.#host.now()
      this.#request.forget()
      this.#lease.answered?.()
    }
    const before = this.#response.state
    try {
      this.#response.read(chunk, this.#lease.stream)
    } catch (error) {
      if (error === HTTP1_REQUIRED) return this.#requireHttp1()
      const fault = toFault(error, 'origin-invalid')
      if (fault.code === 'origin-invalid') this.#notify('answer-refused', `: ${fault.detail}`)
      return this.#abandon(fault)
    }
    const { state } = this.#response
    if (state === 'whole') return before === 'whole' ? undefined : this.#responseWhole(before === 'awaited')
    if (state !== 'awaited') this.#movedAt = this.#host.now()
    this.#setDeadline(before === 'awaited')
    if (this.#terminating) this.#endIfClosed()
    if (state === 'spliced' && before !== 'spliced') this.#host.setReading(true)
  }

  #readEnd(): void {
    this.#originEnded = true
    if (this.#response.state === 'awaited') return this.#failOrRepeat(new TunnelFault('origin-closed'))
    const ended = this.#response.streamEnded()
    if (ended === 'cut') return this.#abandon(new TunnelFault('origin-closed', 'The response broke off.'))
    if (ended === 'whole' && !this.#onlyUploads) return this.#responseWhole()
    if (ended === 'whole') this.#onlyUpload()
    this.#host.endWriting()
    this.#endIfBothEnded()
  }

  // ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A visitor's first request takes no stream that another visitor has just used, unless it may be done twice: should the local server close that stream,
   * only a request after the first is known to come from a client that repeats it (HAProxy's `http-reuse safe`).
   */
  #freshness(): Freshness {
    const { head, first } = this.#asked
    if (head.version === 10 || this.#bound) return 'fresh'
    if (head.idempotent) return 'idle'
    return first ? 'fresh' : 'young'
  }

  /** What was measured of the chunk, from `from` on. */
  #sendBody(chunk: Buffer, from: number): void {
    const { stream, tentative = false } = this.#lease
    if (this.#originGone || this.#request.send(chunk, from, stream, tentative)) return
    this.#host.setReading(false)
  }

  get #mayBeStale(): boolean {
    return this.#lease.reused || this.#lease.tentative === true
  }

  /** `moved`: the visitor has sent a part of its body, or the final response has just begun. `at`: the time, if it is known. */
  #setDeadline(moved = false, at?: number): void {
    const { state, taken } = this.#response
    if (this.#terminating) return
    if (state === 'spliced') return this.#host.expireIn(Infinity)
    if (state === 'awaited' && this.#request.done)
      return this.#host.expireIn(Math.min(this.#patience.begin(at ?? this.#host.now()), BODY_IDLE_MS))
    // This time is not prolonged: a local server that has closed wholly looks the same until the stream is reset.
    if (this.#onlyUploads) return
    // A visitor that does not read has its time from when it stopped, or sent a part of its body.
    if (taken || moved || !this.#unread) this.#host.expireIn(BODY_IDLE_MS)
    this.#unread = !taken
  }

  /** An event stream may be silent for as long as both ends live, which the heartbeat and TCP show, whatever the visitor has yet to send. */
  get #mayBeSilent(): boolean {
    const { taken, openEnded } = this.#response
    return taken && openEnded && !this.#terminating
  }

  /** Whether the local server, or the node that has its tunnel and judges this, has more time for its first byte. */
  #waitsOn(): boolean {
    const leftMs = this.#lease.judged
      ? BODY_IDLE_MS
      : this.#patience.next(this.#host.now(), () => this.#notify('still-waiting'))
    if (leftMs !== undefined) this.#host.expireIn(Math.min(leftMs, BODY_IDLE_MS))
    return leftMs !== undefined
  }

  /** Says something of this request to the person at the agent: without its query, which may hold secrets. */
  #notify(about: NoticeKind, detail = ''): void {
    const path = this.#asked.head.path.split('?', 1)[0]!.slice(0, NOTICED_PATH_CHARACTERS)
    this.#route.notify?.(about, `${this.#asked.head.method} ${path}${detail}`)
  }

  #failOrRepeat(why: TunnelFault): void {
    const failure = this.#lease.failure()
    const retry = decide(
      {
        idempotent: this.#asked.head.idempotent,
        repeatable: this.#request.repeatable,
        bodyless: this.#asked.head.framing === 'none',
        answered: this.#answered,
        mayBeStale: this.#mayBeStale,
        visitorEnded: this.#visitorEnded,
        mayMove: this.#asked.mayMove,
      },
      {
        channelGone: CHANNEL_GONE.has(why.code) || failure?.next === 'elsewhere',
        unsent: failure?.unsent === true,
        explained: failure?.next !== undefined,
      },
    )
    switch (retry) {
      case 'elsewhere':
        this.#lease.reset()
        return this.#end({ kind: 'elsewhere', fault: failure?.fault ?? why, body: this.#request.takeKept() })
      case 'same-route':
        return this.#repeat()
      case 'none': {
        if (failure !== undefined) return this.#abandon(failure.fault, failure.fault.code === 'streams-exhausted')
        return this.#abandon(
          why.code === 'stream-reset' ? new TunnelFault('origin-closed', undefined, { cause: why }) : why,
        )
      }
    }
  }

  #repeat(): void {
    this.#originEnded = false
    this.#originGone = false
    this.#lease.reset()
    try {
      this.#lease = this.#route.lease('fresh', this.#asked.asker, true)
    } catch (error) {
      const fault = toFault(error)
      if (!CHANNEL_GONE.has(fault.code) || !this.#asked.mayMove || this.#visitorEnded) return this.#abandon(fault)
      return this.#end({ kind: 'elsewhere', fault, body: this.#request.takeKept() })
    }
    this.#lease.stream.listen(this)
    this.#asked.record.retries += 1
    const room = this.#request.repeat(this.#lease.stream, this.#lease.tentative === true)
    if (this.#visitorEnded) this.#lease.stream.end()
    this.#host.setReading(room)
  }

  // ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    return this.#host.write(bytes)
  }

  cookieDropped(name: string): void {
    this.#route.notify?.('cookie-dropped', name)
  }

  /** A sign-in that the head offers begins with the visitor's next request, which takes the same stream. */
  answered(final: ResponseHead): void {
    if (this.#bound || !responseOffersSignIn(final)) return
    if (!this.#asked.bindsStreams) throw HTTP1_REQUIRED
    this.#bound = this.#lease.bind !== undefined
  }

  // ── when it is over ───────────────────────────────────────────────────────────────────────────────────────────────

  #requireHttp1(): void {
    this.#lease.reset()
    this.#end({ kind: 'http1-required' })
  }

  /** `atOnce`: it came in one piece. */
  #responseWhole(atOnce = false): void {
    if (this.#requestOver) this.#deliver(atOnce ? this.#asked.record.answeredAt : undefined)
    else this.#setDeadline()
  }

  /** Nothing further of the request is sent. A local server that has answered early, and even ended its writing, may still read the rest. */
  get #requestOver(): boolean {
    return this.#request.done || this.#visitorEnded || this.#originGone || this.#response.declined
  }

  /** The local server has ended behind its response, and the visitor still sends. */
  get #onlyUploads(): boolean {
    return this.#originEnded && this.#response.state === 'whole' && !this.#requestOver
  }

  /** The visitor sees the end too, as it would without a tunnel: it need not send what the local server may not read. */
  #onlyUpload(): void {
    this.#response.keepAlive = false
    this.#host.expireIn(UNREAD_REQUEST_MS)
  }

  /** The local server, whether it reads or not, has had its time. */
  #endUpload(): void {
    this.#originGone = true
    this.#deliver()
  }

  /** Both messages are whole. Until the visitor has taken the response, its stream counts as in use and its bytes as held. */
  #deliver(at?: number): void {
    if (this.#over) return
    if (!this.#response.taken) return this.#host.expireIn(BODY_IDLE_MS)
    const lease = this.#lease
    const clean =
      this.#request.done &&
      !this.#early &&
      !this.#visitorEnded &&
      !this.#originEnded &&
      !this.#originGone &&
      this.#asked.head.version === 11
    const reusable = clean && this.#response.originIdleMs > 0 && !this.#bodyMayBeUnread
    const keepAlive = this.#response.keepAlive && !this.#visitorEnded && this.#request.done
    if (reusable && this.#bound && keepAlive) return this.#end({ kind: 'complete', keepAlive, at, bound: lease })
    if (reusable && !this.#bound) lease.keep(this.#response.originIdleMs)
    else if (this.#request.done) lease.leave(this.#early)
    else lease.reset()
    this.#end({ kind: 'complete', keepAlive, at })
  }

  get #bodyMayBeUnread(): boolean {
    return this.#asked.head.framing !== 'none' && BODY_UNREAD.has(this.#asked.head.method)
  }

  /** The visitor answers with a Close frame of its own, which still goes to the local server. */
  #endIfClosed(): void {
    if (this.#response.closeSent) this.#host.endWriting()
  }

  /** Behind an upgrade the local server has ended: its end stands behind all that the visitor has yet to read, and nothing can follow it. */
  get #onlyVisitorSends(): boolean {
    return this.#originEnded && this.#response.state === 'spliced'
  }

  /** A Close frame, or the local server's end, is out: a reset of the visitor's connection might take it from the visitor. */
  #endClosed(): void {
    if (this.#over) return
    this.#lease.reset()
    this.#end({ kind: 'complete', keepAlive: false, at: undefined })
  }

  #endIfBothEnded(): void {
    if (this.#response.state !== 'spliced' || !this.#visitorEnded || !this.#originEnded) return
    // The local server may still be reading.
    this.#lease.leave(true)
    this.#end({ kind: 'complete', keepAlive: false, at: undefined })
  }

  /** Gives the stream up. The visitor gets the fault, or is cut off if it has a part of the response already. `last`: no further request of its connection is read. */
  #abandon(fault: TunnelFault, last = false): void {
    if (this.#over) return
    this.#lease.reset()
    if (this.#response.state !== 'awaited') return this.#end({ kind: 'cut', fault })
    this.#end({ kind: 'fault', fault, requestEnded: this.#request.done && !this.#visitorEnded && !last })
  }

  #end(outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    this.#response.release()
    this.#host.exchangeOver(outcome)
  }
}

/** Of a path in a notice. */
const NOTICED_PATH_CHARACTERS = 100

/** Leaves the response's reader, whose throws refuse the response. */
const HTTP1_REQUIRED = new Error('HTTP/1.1 is required')
