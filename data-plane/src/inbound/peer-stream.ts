/**
 * One request that came by way of another task, for a tunnel with rules: judged and passed on as any visitor's is, and answered to that task. Knows
 * nothing of how it came.
 */
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  BodyBoundary,
  type CookieFence,
  ForwardedFields,
  HeadCarry,
  type RequestHead,
  RequestHeadParser,
  ResponseHeadParser,
  writeRequestHead,
} from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, HOP_HEAD_ADDED } from '@postern/protocol/limits'
import type { ByteStream, StreamListener } from '@postern/protocol/mux'
import type { Asker, Failure, Route } from '../route/route.ts'
import { Admission, type Applicant, type Application } from './admission.ts'
import { Exchange, type Outcome, type Visitor } from './exchange.ts'
import { RequestRecord } from './request-record.ts'
import type { Perishable, Sweeper } from './sweeper.ts'

export interface HopVisitorContext {
  readonly proto: 'http' | 'https'
  readonly cookies: CookieFence
  readonly sweeper: Sweeper
  failed(requestId: string, fault: TunnelFault): void
  /** Monotonic milliseconds. */
  now(): number
}

type State =
  | { readonly kind: 'head' }
  | { readonly kind: 'admission' }
  | { readonly kind: 'exchange'; readonly exchange: Exchange }
  | { readonly kind: 'over' }

const OVER: State = { kind: 'over' }

export class HopVisitor implements Visitor, Applicant, Perishable {
  deadline: number
  readonly clientAddress: string
  /** Nothing is held here: the task that asks does that. */
  readonly mayWait = false
  /** For the stream that the request comes by. */
  readonly listener: StreamListener
  readonly #stream: ByteStream
  readonly #context: HopVisitorContext
  readonly #requestId: string
  readonly #returned: (failure: Failure) => void
  /** Nobody reads it: the task that asks keeps the request's record. */
  readonly #record: RequestRecord
  readonly #admission: Admission
  readonly #parser = new RequestHeadParser(HOP_HEAD_ADDED)
  readonly #carry = new HeadCarry()
  readonly #unwatch: () => void
  #state: State = { kind: 'head' }
  /** Of the body, not yet wanted. Bounded by the stream's window, which is not credited for it. */
  #waiting: Buffer | undefined
  #held = false
  #feeding = false
  #ended = false

  /** `returned` is called instead of a response, at most once. */
  constructor(
    stream: ByteStream,
    asker: Asker,
    route: Route,
    context: HopVisitorContext,
    returned: (failure: Failure) => void,
  ) {
    this.#stream = stream
    this.#context = context
    this.#requestId = asker.requestId
    this.#returned = returned
    this.clientAddress = asker.visitorAddress
    this.#record = new RequestRecord(asker.visitorAddress, context.now)
    // It was sent for this channel, and goes by no other.
    this.#admission = new Admission(this, { dispatcher: { find: () => route }, failed: context.failed })
    this.deadline = context.sweeper.deadlineIn(HEAD_TIMEOUT_MS)
    this.#unwatch = context.sweeper.add(this)
    this.listener = {
      data: (chunk) => this.#read(chunk),
      end: () => this.#readEnd(),
      reset: () => this.#gone(),
      writable: () => this.#drained(),
    }
  }

  expire(): void {
    switch (this.#state.kind) {
      case 'head':
        return this.#giveBack(new TunnelFault('head-timeout'))
      case 'admission':
        return this.#admission.expire()
      case 'exchange':
        return this.#state.exchange.expire()
      case 'over':
    }
  }

  // ── what becomes of it on its way to the route ────────────────────────────────────────────────────────────────────

  admit(route: Route, { head, requestId }: Application): void {
    const { gate } = route
    const { proto, cookies } = this.#context
    const forwarded = new ForwardedFields(this.clientAddress, proto)
    try {
      const exchange = new Exchange(this, route, {
        head,
        headBytes: writeRequestHead(head, { ...gate?.request, forwarded, requestId, passedOn: true }),
        record: this.#record,
        mayKeepAlive: false,
        mayMove: false,
        cookies,
        changes: { ...gate?.response({ scheme: proto, authority: head.host }), passedOn: true },
        body: new BodyBoundary('request'),
        reader: { heads: new ResponseHeadParser(), body: new BodyBoundary('response') },
      })
      this.#state = { kind: 'exchange', exchange }
    } catch (error) {
      this.#giveBack(toFault(error))
    }
  }

  /** A route never leads to one. */
  redirect(): void {
    this.#giveBack(new TunnelFault('internal-error'))
  }

  refuse(fault: TunnelFault): void {
    this.#giveBack(fault)
  }

  resume(): void {
    this.#feed()
    if (this.#ended && this.#state.kind === 'exchange') this.#state.exchange.visitorEnded()
  }

  // ── what the exchange asks for ────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    return this.#stream.write(bytes)
  }

  endWriting(): void {
    this.#stream.end()
  }

  setReading(on: boolean): void {
    this.#held = !on
    if (on) this.#feed()
  }

  expireIn(ms: number): void {
    this.deadline = this.#context.sweeper.deadlineIn(ms)
  }

  exchangeOver(outcome: Outcome): void {
    if (this.#state.kind !== 'exchange') return
    if (outcome.kind === 'fault' || outcome.kind === 'homeless') return this.#giveBack(outcome.fault)
    this.#end()
    if (outcome.kind === 'complete') this.#stream.end()
    else this.#stream.reset()
  }

  // ── the stream ────────────────────────────────────────────────────────────────────────────────────────────────────

  #read(chunk: Buffer): void {
    // The response is out, or the request refused: what still comes goes nowhere.
    if (this.#state.kind === 'over') return this.#stream.consume(chunk.length)
    this.#waiting = this.#waiting === undefined ? chunk : Buffer.concat([this.#waiting, chunk])
    this.#feed()
  }

  #feed(): void {
    if (this.#feeding) return
    this.#feeding = true
    while (this.#waiting !== undefined) {
      const chunk = this.#waiting
      const taken = this.#take(chunk)
      if (taken === 0) break
      this.#waiting = taken < chunk.length ? chunk.subarray(taken) : undefined
      this.#stream.consume(taken)
    }
    this.#feeding = false
  }

  /** How many bytes of the chunk were taken; 0: none for now. */
  #take(chunk: Buffer): number {
    if (this.#state.kind === 'head') return this.#readHead(chunk)
    if (this.#state.kind === 'over') return chunk.length
    if (this.#state.kind !== 'exchange' || this.#held || !this.#state.exchange.takesBytes) return 0
    return this.#state.exchange.visitorBytes(chunk, 0, chunk.length)
  }

  #readHead(chunk: Buffer): number {
    const before = this.#carry.length
    try {
      this.#carry.append(chunk, 0, chunk.length)
      const head: RequestHead | undefined = this.#parser.parse(this.#carry.buffer, 0, this.#carry.length)
      if (head === undefined) return chunk.length
      this.#state = { kind: 'admission' }
      this.#record.begin(this.#requestId, head, head.bytes, 'HTTP/1.1')
      this.#admission.begin(head, this.#requestId)
      return head.bytes - before
    } catch (error) {
      this.#giveBack(toFault(error, 'request-invalid'))
      return chunk.length
    }
  }

  #readEnd(): void {
    this.#ended = true
    if (this.#state.kind === 'exchange') this.#state.exchange.visitorEnded()
    // Its gate may take its time; then it goes on.
    else if (this.#state.kind === 'head') this.#gone()
  }

  #drained(): void {
    if (this.#state.kind === 'exchange') this.#state.exchange.visitorDrained()
  }

  #gone(): void {
    const state = this.#state
    this.#end()
    if (state.kind === 'exchange') state.exchange.visitorGone()
    else if (state.kind === 'admission') this.#admission.withdraw()
    else if (state.kind === 'head') this.#stream.reset()
  }

  /** Its agent's channel has gone: another may have the name by now. Whatever else it is, is final. */
  #giveBack(fault: TunnelFault): void {
    if (this.#state.kind === 'over') return
    this.#end()
    this.#context.failed(this.#requestId, fault)
    const gone = fault.code === 'channel-lost' || fault.code === 'channel-closed'
    this.#returned({ fault, unsent: false, next: gone ? 'elsewhere' : 'nowhere' })
  }

  #end(): void {
    this.#state = OVER
    this.#waiting = undefined
    this.#parser.release()
    this.#unwatch()
  }
}
