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
import {
  HEAD_TIMEOUT_MS,
  HELD_BODY_BYTES,
  LINGER_MS,
  SLOW_UPLOAD_BYTES_PER_SECOND,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import type { Redirect } from '../dispatch/redirector.ts'
import type { Route } from '../route/route.ts'
import { Admission, type Applicant, type Application } from './admission.ts'
import { Exchange, type ExchangeRequest, type Outcome, type Visitor } from './exchange.ts'
import { faultAnswer } from './fault-answer.ts'
import { redirectAnswer } from './redirect-answer.ts'
import { RequestHeads } from './request-heads.ts'
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
  readonly #inlet: VisitorInlet
  readonly #heads = new RequestHeads()
  readonly #requestBody = new BodyBoundary('request')
  readonly #reader = { heads: new ResponseHeadParser(), body: new BodyBoundary('response') }
  #state: State = HEAD
  #ended = false
  #draining = false
  /** Since when the visitor has not read all that it was given. */
  #fullSince: number | undefined
  /** When the latest exchange began. */
  #since = 0

  /** `socket` is paused; `first` is what was already read from it. */
  constructor(
    socket: Socket,
    { address, key }: VisitorAddress,
    first: Buffer,
    context: VisitorContext,
    host: VisitorHost,
  ) {
    this.#socket = socket
    this.#context = context
    this.clientAddress = address
    this.addressKey = key
    this.#forwarded = new ForwardedFields(address, context.proto)
    this.#host = host
    this.#admission = new Admission(this, context)
    this.#inlet = new VisitorInlet(socket, this)
    this.deadline = host.deadlineIn(VISITOR_IDLE_MS)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
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
    if (this.#fullSince !== undefined) return this.#host.now() - this.#fullSince
    const { uploaded } = this.#state.exchange
    if (uploaded === undefined || this.#inlet.held) return 0
    const ms = this.streamAge
    return uploaded * 1000 < SLOW_UPLOAD_BYTES_PER_SECOND * ms ? ms : 0
  }

  giveWay(): void {
    if (this.#state.kind === 'exchange') this.#state.exchange.giveWay()
  }

  expire(): void {
    switch (this.#state.kind) {
      case 'head':
        if (this.#heads.begun)
          return this.#answer(new TunnelFault('head-timeout'), undefined, this.#context.newRequestId(), false)
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
      id: requestId,
      mayKeepAlive: !this.#draining,
      mayMove,
      cookies: this.#context.cookies,
      changes: gate?.response({ scheme: this.#context.proto, authority: head.host }),
      body: this.#requestBody,
      reader: this.#reader,
    }
    this.#since = this.#host.now()
    try {
      this.#state = { kind: 'exchange', exchange: this.#exchange(route, request), head, requestId, route }
    } catch (error) {
      const fault = toFault(error)
      this.#context.failed(requestId, fault)
      this.refuse(fault, application)
    }
  }

  redirect({ origin }: Redirect, { head, requestId }: Application): void {
    this.#writeLast(redirectAnswer(origin, head, requestId))
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
        // What was sent of the body is sent again, before what has come since.
        this.#inlet.putBack(outcome.body)
        return this.#admission.beginAgain(head, requestId, outcome.fault)
      case 'cut':
        this.#context.failed(requestId, outcome.fault)
        this.#context.counts.fault(outcome.fault.code)
        // It has no stream any more, and is not to be asked for one until 'close' comes.
        this.#state = GONE
        this.#socket.resetAndDestroy()
        return
      case 'abandoned':
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
    this.#heads.release()
    if (state.kind === 'exchange') state.exchange.visitorGone()
    else if (state.kind === 'admission') this.#admission.withdraw()
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #readHead(chunk: Buffer, from: number): number {
    const begun = this.#heads.begun
    try {
      const head = this.#heads.read(chunk, from)
      const { next } = this.#heads
      if (head !== undefined) this.#begin(head)
      else if (!begun) this.expireIn(HEAD_TIMEOUT_MS)
      return next
    } catch (error) {
      this.#answer(toFault(error, 'request-invalid'), undefined, this.#context.newRequestId(), false)
      return chunk.length
    }
  }

  #begin(head: RequestHead): void {
    const requestId = this.#context.newRequestId()
    this.#context.counts.request()
    this.#state = ADMISSION
    this.#admission.begin(head, requestId)
  }

  #exchange(route: Route, request: ExchangeRequest): Exchange {
    try {
      return new Exchange(this, route, request)
    } catch (error) {
      if (toFault(error).code !== 'streams-exhausted' || !this.#host.makeRoom(route, this)) throw error
      return new Exchange(this, route, request)
    }
  }

  #nextRequest(): void {
    this.#state = HEAD
    this.#heads.clear()
    this.expireIn(VISITOR_IDLE_MS)
    if (this.#ended) this.#socket.end()
    this.#inlet.goOn()
  }

  /** `goesOn`: the request was read to its end, so another may follow on this connection. */
  #answer(fault: TunnelFault, head: RequestHead | undefined, requestId: string, goesOn: boolean): void {
    const keepAlive = goesOn && !this.#draining && head?.keepAlive === true
    const [accept, method] = [head?.field('accept'), head?.method ?? 'GET']
    this.#context.counts.fault(fault.code)
    const answer = faultAnswer(fault, { accept, method, requestId, keepAlive })
    if (!keepAlive) return this.#writeLast(answer)
    this.#socket.write(answer)
    this.#nextRequest()
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
