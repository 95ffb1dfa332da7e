/** One visitor's connection: heads in, exchanges one after the other, our own answers where there is no exchange. Knows nothing of streams. */
import type { Socket } from 'node:net'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  BodyBoundary,
  ForwardedFields,
  type RequestHead,
  ResponseHeadParser,
  writeRequestHead,
} from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, HELD_BODY_BYTES, LINGER_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { onBytes } from '@postern/protocol/socket'
import type { Redirect } from '../dispatch/redirector.ts'
import type { Route } from '../route/route.ts'
import { Admission, type Applicant, type Application } from './admission.ts'
import { Exchange, type ExchangeRequest, type Outcome, type Visitor } from './exchange.ts'
import { faultAnswer } from './fault-answer.ts'
import { prefaceIn } from './h2/h2-preface.ts'
import { keptWaiting } from './kept-waiting.ts'
import { LAST_HOP_STATUS, lastHopAnswer } from './last-hop-answer.ts'
import { REDIRECT_STATUS, redirectAnswer } from './redirect-answer.ts'
import { RequestHeads } from './request-heads.ts'
import { type RequestEnd, RequestRecord } from './request-record.ts'
import type { Perishable } from './sweeper.ts'
import type { VisitorAddress, VisitorContext, VisitorHost } from './visitor-context.ts'
import { NOT_NOW, type Taker, VisitorInlet } from './visitor-inlet.ts'
import type { StreamUser } from './who-gives-way.ts'

type State =
  /** Between requests, or inside a head. */
  | { readonly kind: 'head' }
  /** A head is whole, and its request on the way to a route. */
  | { readonly kind: 'admission' }
  | {
      readonly kind: 'exchange'
      readonly exchange: Exchange
      readonly head: RequestHead
      readonly requestId: string
      readonly route: Route
    }
  /** The last answer is out; what still comes is dropped until the visitor has read it (RFC 9112 §9.6). */
  | { readonly kind: 'lingering' }
  | { readonly kind: 'gone' }

const HEAD: State = { kind: 'head' }
const ADMISSION: State = { kind: 'admission' }
const LINGERING: State = { kind: 'lingering' }
const GONE: State = { kind: 'gone' }
const NOTHING = Buffer.alloc(0)

export class VisitorConnection implements Visitor, Applicant, Taker, StreamUser, Perishable {
  deadline: number
  /** Which address it is counted under. */
  readonly addressKey: string
  readonly clientAddress: string
  readonly #socket: Socket
  readonly #context: VisitorContext
  readonly #forwarded: ForwardedFields
  readonly #host: VisitorHost
  readonly #admission: Admission
  readonly #record: RequestRecord
  readonly #inlet: VisitorInlet
  readonly #heads = new RequestHeads()
  readonly #requestBody = new BodyBoundary('request')
  readonly #reader = { heads: new ResponseHeadParser(), body: new BodyBoundary('response') }
  readonly #speakHttp2: (bytes: Buffer) => void
  readonly #stopReading: () => void
  #state: State = HEAD
  /** It has sent a request: what comes is no preface. */
  #begun = false
  #ended = false
  #draining = false
  /** Since when the visitor has not read all that it was given. */
  #fullSince: number | undefined
  /** When the latest exchange began, or its request. */
  #since = 0
  /** A request waits for its verdict or its agent: time has passed since its head came. */
  #waited = false

  /**
   * `socket` is paused; `first` is what was already read from it. `speakHttp2` is called, later than in the constructor, if it turns out
   * that the visitor speaks HTTP/2: with all that was read, the socket paused, and this connection out of it.
   */
  constructor(
    socket: Socket,
    { address, key }: VisitorAddress,
    first: Buffer,
    context: VisitorContext,
    host: VisitorHost,
    speakHttp2: (bytes: Buffer) => void,
  ) {
    this.#socket = socket
    this.#speakHttp2 = speakHttp2
    this.#context = context
    this.clientAddress = address
    this.addressKey = key
    this.#forwarded = new ForwardedFields(address, context.proto)
    this.#host = host
    this.#record = new RequestRecord(address, host.now)
    this.#admission = new Admission(this, context)
    this.#inlet = new VisitorInlet(socket, this)
    this.deadline = host.deadlineIn(VISITOR_IDLE_MS)
    this.#stopReading = onBytes(socket, (chunk) => this.#read(chunk))
    socket.on('end', () => this.#readEnd())
    socket.on('drain', () => this.#drained())
    socket.on('close', () => this.#closed())
    socket.resume()
    if (first.length > 0) this.#read(first)
  }

  /** No further request: an idle connection ends now, a busy one after its response. */
  drain(): void {
    this.#draining = true
    if (this.#state.kind === 'admission') return this.#admission.stopWaiting()
    if (this.#state.kind !== 'head' || this.#heads.begun) return
    this.#socket.end()
    this.#linger()
  }

  /** Its host's `retiring` is asked with each response. */
  retire(): void {}

  /** The task stops, and can wait no longer. */
  goAway(): void {
    if (this.#state.kind === 'exchange') this.#state.exchange.goAway()
  }

  /** Whether it has a stream of this route. */
  uses(route: Route): boolean {
    return this.#state.kind === 'exchange' && this.#state.route === route
  }

  /** For how long it has had its stream, if it has one; milliseconds. */
  get streamAge(): number {
    return this.#host.now() - this.#since
  }

  /** For how long its visitor has kept its stream waiting, by not reading or by hardly sending; milliseconds, 0 if it does not. */
  get slowFor(): number {
    if (this.#state.kind !== 'exchange') return 0
    const uploaded = this.#inlet.held ? undefined : this.#state.exchange.uploaded
    return keptWaiting(this.#host.now(), { since: this.#since, fullSince: this.#fullSince, uploaded })
  }

  giveWay(): void {
    if (this.#state.kind === 'exchange') this.#state.exchange.giveWay()
  }

  expire(): void {
    switch (this.#state.kind) {
      case 'head':
        if (this.#heads.begun) return this.#answerUnread(new TunnelFault('head-timeout'), this.#heads.begunBytes)
        this.#socket.end()
        return this.#linger()
      case 'admission':
        // While nothing is read, a reset shows only to whoever writes; nothing is sent by it.
        if (this.#admission.held) this.#socket.write(NOTHING)
        return this.#admission.expire()
      case 'exchange':
        return this.#state.exchange.expire()
      case 'lingering':
        this.#socket.destroy()
        return
      case 'gone':
    }
  }

  // ── what becomes of a request on its way to a route ───────────────────────────────────────────────────────────────

  /** A visitor that has ended its writing may have left: it is answered at once, as is everybody while the task stops. */
  get mayWait(): boolean {
    return !this.#draining && !this.#ended
  }

  admit(route: Route, application: Application): void {
    const { head, requestId, mayMove } = application
    const { gate } = route
    const forwarding = { forwarded: this.#forwarded, requestId }
    const request = {
      head,
      headBytes: writeRequestHead(head, gate === undefined ? forwarding : { ...forwarding, ...gate.request }),
      record: this.#record,
      mayKeepAlive: this.#mayGoOn,
      mayMove,
      cookies: this.#context.cookies,
      changes: gate?.response({ scheme: this.#context.proto, authority: head.host }),
      body: this.#requestBody,
      reader: this.#reader,
    }
    if (this.#waited) this.#since = this.#host.now()
    this.#record.admitted(this.#since, route.roundTripMs)
    try {
      this.#state = { kind: 'exchange', exchange: this.#exchange(route, request), head, requestId, route }
    } catch (error) {
      const fault = toFault(error)
      // It goes in this very moment, and nothing was sent.
      if (fault.code === 'channel-closed' && mayMove) return this.#admission.beginAgain(head, requestId, fault)
      this.#context.failed(requestId, fault)
      this.refuse(fault, application)
    }
  }

  redirect({ origin }: Redirect, { head, requestId }: Application): void {
    this.#answerWhole(REDIRECT_STATUS, redirectAnswer(origin, head, requestId))
  }

  refuse(fault: TunnelFault, { head, requestId }: Application): void {
    this.#answer(fault, head, requestId, head.framing === 'none' && !this.#ended)
  }

  resume(): void {
    this.#inlet.goOn()
    if (this.#ended && this.#state.kind === 'exchange') this.#state.exchange.visitorEnded()
  }

  // ── what an exchange asks for ─────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    this.#record.bytesOut += bytes.length
    const room = this.#socket.write(bytes)
    if (!room) this.#fullSince ??= this.#host.now()
    return room
  }

  endWriting(): void {
    this.#socket.end()
  }

  setReading(on: boolean): void {
    this.#inlet.setReading(on)
  }

  expireIn(ms: number): void {
    this.deadline = this.#host.deadlineIn(ms)
  }

  exchangeOver(outcome: Outcome): void {
    if (this.#state.kind !== 'exchange') return
    const { head, requestId } = this.#state
    this.#inlet.unhold()
    switch (outcome.kind) {
      case 'complete':
        this.#recordEnd('whole', outcome.at)
        if (outcome.keepAlive && !this.#draining) this.#nextRequest()
        else {
          this.#socket.end()
          this.#linger()
        }
        return
      case 'fault':
        this.#context.failed(requestId, outcome.fault)
        return this.#answer(outcome.fault, head, requestId, outcome.requestEnded)
      case 'homeless':
        this.#state = ADMISSION
        this.#waited = true
        // What was sent of the body is sent again, before what has come since.
        this.#inlet.putBack(outcome.body)
        for (const { length } of outcome.body) this.#record.bytesIn -= length
        return this.#admission.beginAgain(head, requestId, outcome.fault)
      case 'cut':
        this.#context.failed(requestId, outcome.fault)
        this.#record.fault = outcome.fault.code
        this.#recordEnd('cut')
        // It has no stream any more, and is not to be asked for one until 'close' comes.
        this.#state = GONE
        this.#socket.resetAndDestroy()
        return
      case 'abandoned':
        this.#recordEnd('abandoned')
        this.#state = GONE
        this.#socket.destroy()
    }
  }

  // ── what comes from the visitor ───────────────────────────────────────────────────────────────────────────────────

  take(chunk: Buffer, from: number): number {
    if (this.#state.kind === 'head') return this.#readHead(chunk, from)
    if (this.#state.kind !== 'exchange' || !this.#state.exchange.takesBytes || this.#inlet.held) return NOT_NOW
    return this.#state.exchange.visitorBytes(chunk, from, chunk.length)
  }

  get wantsRest(): boolean {
    return this.#state.kind === 'exchange' || this.#state.kind === 'admission'
  }

  get mayWaitBytes(): number {
    return this.#admission.held ? HELD_BODY_BYTES : 0
  }

  // ── the socket ────────────────────────────────────────────────────────────────────────────────────────────────────

  #read(chunk: Buffer): void {
    if (this.#state.kind === 'lingering' || this.#state.kind === 'gone') return
    this.#inlet.bytes(chunk)
  }

  #readEnd(): void {
    if (this.#state.kind === 'gone') return
    this.#ended = true
    if (this.#state.kind === 'exchange') this.#state.exchange.visitorEnded()
    // While a request is judged its visitor still waits for the answer.
    else if (this.#state.kind === 'admission') this.#admission.stopWaiting()
    else this.#socket.end()
  }

  #drained(): void {
    this.#fullSince = undefined
    if (this.#state.kind === 'exchange') this.#state.exchange.visitorDrained()
  }

  #closed(): void {
    const state = this.#state
    this.#state = GONE
    this.#inlet.drop()
    if (state.kind === 'exchange') state.exchange.visitorGone()
    else if (state.kind === 'admission') this.#admission.withdraw()
    if (state.kind === 'exchange' || state.kind === 'admission') this.#recordEnd('abandoned')
    this.#heads.release()
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #readHead(chunk: Buffer, from: number): number {
    const { begunBytes } = this.#heads
    let head: RequestHead | undefined
    try {
      head = this.#heads.read(chunk, from)
    } catch (error) {
      const fault = toFault(error, 'request-invalid')
      if (fault.code !== 'version-unsupported' || !this.#readPreface(this.#heads.refused(chunk, from)))
        this.#answerUnread(fault, begunBytes + chunk.length - from)
      return chunk.length
    }
    const { next } = this.#heads
    if (head !== undefined) this.#begin(head)
    else if (begunBytes === 0) this.expireIn(HEAD_TIMEOUT_MS)
    return next
  }

  /**
   * The preface of HTTP/2 is made to look like a request of a version that HTTP/1.1 does not know (RFC 9113 §3.4), so only who sends such a
   * one is looked at. False if it is none.
   */
  #readPreface(bytes: Buffer): boolean {
    const preface = this.#begun ? 'none' : prefaceIn(bytes)
    if (preface === 'part') this.expireIn(HEAD_TIMEOUT_MS)
    if (preface !== 'whole') return preface === 'part'
    this.#state = GONE
    this.#inlet.setReading(false)
    this.#stopReading()
    // Not while the socket is handing out what it has read, and not while whoever accepted the visitor has yet to hear of this connection.
    process.nextTick(() => {
      if (!this.#socket.destroyed) this.#speakHttp2(bytes)
    })
    return true
  }

  #begin(head: RequestHead): void {
    this.#begun = true
    const requestId = this.#context.newRequestId()
    this.#since = this.#record.begin(requestId, head, head.bytes, head.version === 11 ? 'HTTP/1.1' : 'HTTP/1.0')
    this.#context.records.begun()
    this.#waited = false
    if (head.maxForwards === 0) return this.#answerWhole(LAST_HOP_STATUS, lastHopAnswer(head, requestId))
    this.#state = ADMISSION
    this.#admission.begin(head, requestId)
    this.#waited = true
  }

  #exchange(route: Route, request: ExchangeRequest): Exchange {
    try {
      return new Exchange(this, route, request)
    } catch (error) {
      if (toFault(error).code !== 'streams-exhausted' || !this.#host.makeRoom(route, this)) throw error
      return new Exchange(this, route, request)
    }
  }

  /** Whether another request may follow. */
  get #mayGoOn(): boolean {
    return !this.#draining && !this.#host.retiring
  }

  #nextRequest(): void {
    this.#state = HEAD
    this.#heads.clear()
    this.expireIn(VISITOR_IDLE_MS)
    if (this.#ended) this.#socket.end()
    this.#inlet.goOn()
  }

  #recordEnd(end: RequestEnd, at?: number): void {
    this.#record.over(end, at)
    this.#context.records.over(this.#record)
  }

  /** What came is no request. */
  #answerUnread(fault: TunnelFault, bytes: number): void {
    const requestId = this.#context.newRequestId()
    this.#waited = false
    this.#record.begin(requestId, undefined, bytes, 'HTTP/1.1')
    this.#answer(fault, undefined, requestId, false)
  }

  /** `goesOn`: the request was read to its end, so another may follow on this connection. */
  #answer(fault: TunnelFault, head: RequestHead | undefined, requestId: string, goesOn: boolean): void {
    const keepAlive = goesOn && this.#mayGoOn && head?.keepAlive === true
    const [accept, method] = [head?.field('accept'), head?.method ?? 'GET']
    if (this.#waited) this.#record.turnedAway()
    const { serverTiming } = this.#record
    const answer = faultAnswer(fault, { accept, method, requestId, keepAlive, serverTiming })
    this.#record.status = fault.status
    this.#record.fault = fault.code
    this.#record.bytesOut += answer.length
    this.#recordEnd('refused')
    if (!keepAlive) return this.#writeLast(answer)
    this.#socket.write(answer)
    this.#nextRequest()
  }

  #answerWhole(status: number, answer: Buffer): void {
    this.#record.status = status
    this.#record.bytesOut += answer.length
    this.#recordEnd('whole')
    this.#writeLast(answer)
  }

  #writeLast(answer: Buffer): void {
    this.#socket.end(answer)
    this.#linger()
  }

  #linger(): void {
    this.#state = LINGERING
    this.#inlet.drop()
    this.expireIn(LINGER_MS)
    this.#inlet.adjust()
    if (this.#ended) this.#socket.end()
  }
}
