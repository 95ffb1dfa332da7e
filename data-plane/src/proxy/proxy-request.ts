/** One request of a visitor: look up, authorise, hold, send, done. An HTTP/1 connection uses one object for one request after the other. */
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { BodyBoundary, type RequestHead, ResponseHeadParser, writeRequestHead } from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, LOOKUP_ROUNDS, STREAM_WAIT_MS, SWEEP_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { Redirect } from '../dispatch/redirector.ts'
import { Sought } from '../dispatch/sought.ts'
import { Away } from '../dispatch/waiting-room.ts'
import { BoundStream } from '../route/bound-stream.ts'
import { requestSignsIn } from '../route/connection-sign-in.ts'
import { evictFor } from '../route/eviction.ts'
import type { Lease, Route } from '../route/route.ts'
import type { RouteUser } from '../route/route-users.ts'
import type { QueuedRequest } from '../route/stream-queue.ts'
import type { Admission, Verdict } from '../route/visitor-gate.ts'
import type { Downstream, Ending } from './downstream.ts'
import { Exchange, type ExchangeHost, type ExchangeRequest, type Outcome } from './exchange.ts'
import { faultAnswer } from './fault-answer.ts'
import { keptWaiting } from './kept-waiting.ts'
import { LAST_HOP_STATUS, lastHopAnswer } from './last-hop-answer.ts'
import type { ProxyContext, ProxyHost } from './proxy-context.ts'
import { REDIRECT_STATUS, redirectAnswer } from './redirect-answer.ts'
import { type Protocol, type RequestEnd, RequestRecord } from './request-record.ts'
import { type Visitor, visitorAt } from './visitor.ts'

type State =
  | { readonly kind: 'idle' }
  /** Its channel is gone; it is looked up again at the end of this turn. */
  | { readonly kind: 'moving' }
  /** Where its tunnel is takes time to find out. */
  | { readonly kind: 'lookup' }
  /** The access policy of its route takes time to decide. */
  | { readonly kind: 'authorising' }
  /** The tunnel's agent is away. */
  | { readonly kind: 'held'; readonly leave: () => void }
  /** Its visitor leaves too much unread on its connection. */
  | { readonly kind: 'deferred'; readonly leave: () => void }
  /** The tunnel has no stream left. */
  | { readonly kind: 'queued'; readonly queue: Route['queue']; readonly leave: () => void; readonly fault: TunnelFault }
  | { readonly kind: 'sending'; readonly exchange: Exchange; readonly route: Route }
  /** An answer of ours is out, and the visitor has yet to take it. */
  | { readonly kind: 'answered'; readonly end: RequestEnd; readonly ending: Ending }

const IDLE: State = { kind: 'idle' }
const BEGUN: State = { kind: 'lookup' }

export class ProxyRequest implements ExchangeHost, RouteUser, QueuedRequest {
  requestId = ''
  place = -1
  readonly #downstream: Downstream
  readonly #context: ProxyContext
  readonly #host: ProxyHost
  /** Who is at the other end of its connection. */
  readonly #peer: Visitor
  readonly #record: RequestRecord
  readonly #body = new BodyBoundary('request')
  readonly #reader = { heads: new ResponseHeadParser(), body: new BodyBoundary('response') }
  #visitor: Visitor
  #state: State = IDLE
  #head: RequestHead | undefined
  /** Nothing was sent for this visitor on its connection before. */
  #first: boolean
  /** How many channels the request was with that are gone, and why the last of them is. */
  #moves = 0
  #lost: TunnelFault | undefined
  /** Time has passed since the head came: the request was not sent at once. */
  #waited = false
  #visitorEnded = false
  /** When the request, or its latest exchange, began. */
  #since = 0
  /** When it began to wait for a stream; undefined if it has not. */
  #queuedAt: number | undefined
  /** Since when the visitor has not taken all that it was given. */
  #fullSince: number | undefined
  #bound: BoundStream | undefined

  /** `begun`: another request of the same connection was sent before. */
  constructor(downstream: Downstream, context: ProxyContext, host: ProxyHost, begun = false) {
    this.#first = !begun
    this.#downstream = downstream
    this.#context = context
    this.#host = host
    this.#peer = visitorAt(downstream.clientAddress, downstream.addressKey, context.proto)
    this.#visitor = this.#peer
    this.#record = new RequestRecord(downstream.clientAddress, host.now)
  }

  // ── what comes from the downstream ────────────────────────────────────────────────────────────────────────────────

  /** A head was read; `bytes` is its length as it came. It must hold until `done`. `requestId`: from a peer; a new one unless given. */
  begin(head: RequestHead, bytes: number, protocol: Protocol, requestId = this.#context.newRequestId()): void {
    this.requestId = requestId
    this.#head = head
    const unnamed = this.#nameVisitor(head)
    this.#moves = 0
    this.#lost = undefined
    this.#waited = false
    this.#visitorEnded = false
    this.#queuedAt = undefined
    this.#since = this.#record.begin(requestId, head, bytes, protocol)
    this.#context.records.begun()
    this.#enter(BEGUN)
    if (unnamed !== undefined) return this.#refuse(unnamed)
    // A peer has counted it down already.
    const lastHop = head.maxForwards === 0 && this.#downstream.fromPeer !== true
    if (lastHop) this.#answerWhole(LAST_HOP_STATUS, lastHopAnswer(head, requestId))
    else this.#lookUp(0)
    this.#waited = true
  }

  /** What came is no request. */
  refuseUnread(fault: TunnelFault, bytes: number, protocol: Protocol): void {
    this.requestId = this.#context.newRequestId()
    this.#head = undefined
    this.#nameVisitor(undefined)
    this.#waited = false
    this.#since = this.#record.begin(this.requestId, undefined, bytes, protocol)
    this.#answer(fault, false)
  }

  get addressKey(): string {
    return this.#visitor.key
  }

  /** Names the request when a stream is opened for it. */
  get visitorAddress(): string {
    return this.#visitor.address
  }

  /** Behind a trusted proxy each request may have another. @returns why the request is refused, if its visitor is unknown */
  #nameVisitor(head: RequestHead | undefined): TunnelFault | undefined {
    const { proxies } = this.#downstream
    if (proxies === undefined) return undefined
    const found = head === undefined ? this.#peer : proxies.visitorOf(head, this.#peer, this.#visitor)
    const unknown = found instanceof TunnelFault
    this.#visitor = unknown ? this.#peer : found
    this.#record.visitor = this.#visitor.address
    return unknown ? found : undefined
  }

  /** Not between two requests. */
  get active(): boolean {
    return this.#state.kind !== 'idle'
  }

  /** Whether bytes of its body, or of an upgrade, are wanted just now. */
  get takesBytes(): boolean {
    return this.#state.kind === 'sending' && this.#state.exchange.takesBytes
  }

  /** Whether it waits for its agent or for a stream. */
  get waits(): boolean {
    return this.#state.kind === 'held' || this.#state.kind === 'queued'
  }

  /** Whether it has a stream. */
  get sending(): boolean {
    return this.#state.kind === 'sending'
  }

  /** Since when it has been under way, in monotonic milliseconds, if the visitor has an answer of ours to take; undefined otherwise. */
  get answeredSince(): number | undefined {
    return this.#state.kind === 'answered' ? this.#since : undefined
  }

  /** An answer of ours that the visitor has not taken is given up. */
  cutAnswer(): void {
    if (this.#state.kind === 'answered') this.#finish('cut', 'cut')
  }

  /** Bytes of its body that are kept because they may have to be sent again. */
  get keptBytes(): number {
    return this.#state.kind === 'sending' ? this.#state.exchange.keptBytes : 0
  }

  /** Takes what of [from, to) belongs to the request; answers the index behind it. Only while `takesBytes`. */
  bodyBytes(chunk: Buffer, from: number, to: number): number {
    return this.#state.kind === 'sending' ? this.#state.exchange.visitorBytes(chunk, from, to) : to
  }

  /** The visitor sends nothing further, and may still be reading. */
  visitorEnded(): void {
    this.#visitorEnded = true
    if (this.#state.kind === 'sending') this.#state.exchange.visitorEnded()
    // It may have left: it is answered at once instead of being kept waiting.
    else this.stopWaiting()
  }

  visitorGone(): void {
    const state = this.#state
    this.#bound?.release()
    if (state.kind === 'sending') return state.exchange.visitorGone()
    if (state.kind === 'idle') return
    if ('leave' in state) state.leave()
    this.#finish(this.#goneAs, 'abandoned')
  }

  /** As `visitorGone`, where the downstream has cut the visitor off for that reason. */
  abort(why: TunnelFault): void {
    this.#record.fault = this.#logged(why).code
    this.visitorGone()
  }

  get #goneAs(): RequestEnd {
    return this.#record.fault === undefined || this.#state.kind === 'answered' ? 'abandoned' : 'cut'
  }

  /** The visitor has taken all that it was given. */
  drained(): void {
    this.#fullSince = undefined
    if (this.#state.kind === 'sending') this.#state.exchange.drained()
    else if (this.#state.kind === 'answered') this.#finish(this.#state.end, this.#state.ending)
  }

  /** The request cannot be carried on: what the visitor sent is invalid, or code of the request threw. */
  fail(fault: TunnelFault): void {
    switch (this.#state.kind) {
      case 'idle':
        return
      case 'sending':
        return this.#state.exchange.crash(fault)
      case 'answered':
        return this.cutAnswer()
      default:
        if ('leave' in this.#state) this.#state.leave()
        this.#refuse(this.#logged(fault))
    }
  }

  /** The time that `expireIn` gave is over. */
  expire(): void {
    const state = this.#state
    switch (state.kind) {
      case 'lookup':
        return this.#refuse(new TunnelFault('store-unavailable', 'It takes too long to answer.'))
      case 'authorising':
        return this.#refuse(new TunnelFault('visitor-checks-busy'))
      case 'queued':
        if (this.#host.now() - this.#queuedAt! >= STREAM_WAIT_MS) return this.#leaveQueue(state)
        return this.#keepWaiting()
      case 'held':
      case 'deferred':
        return this.#keepWaiting()
      case 'sending':
        return state.exchange.expire()
      case 'answered':
        if (this.progressed()) return this.#downstream.expireIn(VISITOR_IDLE_MS)
        return this.cutAnswer()
    }
  }

  /** A request that waits is answered at once. */
  stopWaiting(): void {
    const state = this.#state
    if (state.kind === 'queued') return this.#leaveQueue(state)
    if (state.kind !== 'held' && state.kind !== 'deferred') return
    state.leave()
    this.#refuse(new TunnelFault('tunnel-offline'))
  }

  // ── what others need of its stream ────────────────────────────────────────────────────────────────────────────────

  get streamAge(): number {
    return this.#host.now() - this.#since
  }

  get slowFor(): number {
    if (this.#state.kind !== 'sending') return 0
    const { uploaded, continuedAt } = this.#state.exchange
    const since = Math.max(this.#since, continuedAt)
    return keptWaiting(this.#host.now(), { since, fullSince: this.#fullSince, uploaded })
  }

  get idleFor(): number {
    if (this.#state.kind !== 'sending') return 0
    return this.#host.now() - Math.max(this.#since, this.#state.exchange.movedAt)
  }

  evict(why: TunnelFault): void {
    if (this.#state.kind === 'sending') this.#state.exchange.evict(why)
  }

  terminate(): void {
    if (this.#state.kind === 'sending') this.#state.exchange.terminate()
  }

  // ── look up ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** `rounds`: how often its tunnel was looked for before. */
  #lookUp(rounds: number): void {
    const found = this.#context.dispatcher.find(this.#head!.host, this.addressKey)
    if (found instanceof TunnelFault) return this.#refuse(this.#explained(found))
    if (found instanceof Redirect) return this.#redirect(found)
    if (found instanceof Sought) return void this.#awaitLookup(found, rounds)
    if (found instanceof Away) return this.#hold(found)
    this.#authorise(this.#boundRoute ?? found)
  }

  /** Of several channels of the name, the one where the visitor's connection has signed in. */
  get #boundRoute(): Route | undefined {
    const bound = this.#bound
    return bound?.present && bound.host === this.#head!.host ? bound.route : undefined
  }

  async #awaitLookup(lookup: Sought, rounds: number): Promise<void> {
    const state = this.#enter({ kind: 'lookup' })
    this.#downstream.expireIn(HEAD_TIMEOUT_MS)
    const fault = await lookup.settled
    if (this.#state !== state) return
    if (fault !== undefined) this.#refuse(this.#logged(fault))
    // What was found is gone before it was used, again and again: the tunnel changes places faster than it can be followed.
    else if (rounds >= LOOKUP_ROUNDS) this.#refuse(new TunnelFault('tunnel-moved'))
    else this.#guarded(() => this.#lookUp(rounds + 1))
  }

  /** A lost channel explains more than that there is no other; a tunnel that has moved is explained by where it is now. */
  #explained(found: TunnelFault): TunnelFault {
    const lost = this.#lost
    return lost === undefined || lost.code === 'tunnel-moved' ? found : this.#logged(lost)
  }

  /**
   * For a request whose channel is gone, with the fault that it gets if there is nowhere else to go. The streams of a channel hear of its end first;
   * once all have, its name has another one, or none.
   */
  #move(lost: TunnelFault): void {
    this.#moves += 1
    this.#lost = lost
    const state = this.#enter({ kind: 'moving' })
    queueMicrotask(() => {
      if (this.#state === state) this.#guarded(() => this.#lookUp(0))
    })
  }

  get #mayMove(): boolean {
    return !this.#downstream.fromPeer && this.#moves < LOOKUP_ROUNDS
  }

  // ── authorise ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The only way to a route: every request passes here each time, also after a hold and after a lost channel. */
  #authorise(route: Route): void {
    const { gate } = route
    if (gate === undefined) return this.#send(route)
    let verdict: Verdict | Promise<Verdict>
    try {
      verdict = gate.judge(this.visitorAddress, this.#head!)
    } catch (error) {
      verdict = this.#logged(toFault(error))
    }
    if (!(verdict instanceof Promise)) return this.#decide(verdict, route)
    void this.#awaitVerdict(
      verdict.catch((error) => this.#logged(toFault(error))),
      route,
    )
  }

  async #awaitVerdict(pending: Promise<Verdict>, route: Route): Promise<void> {
    const state = this.#enter({ kind: 'authorising' })
    this.#downstream.expireIn(HEAD_TIMEOUT_MS)
    const verdict = await pending
    if (this.#state !== state) return
    this.#guarded(() => {
      // Another channel may have the name by now, with other rules: those count. Or none has, and the request waits for the next.
      const overtaken =
        !(verdict instanceof TunnelFault) && this.#context.dispatcher.find(this.#head!.host, this.addressKey) !== route
      if (overtaken) this.#lookUp(0)
      else this.#decide(verdict, route)
    })
  }

  #decide(verdict: Verdict, route: Route): void {
    if (verdict instanceof TunnelFault) this.#refuse(verdict)
    else this.#send(route, verdict)
  }

  // ── hold ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #hold(away: Away): void {
    const leave = this.#mayWait
      ? away.hold({
          addressKey: this.addressKey,
          admit: (route) => this.#guarded(() => this.#authorise(route)),
          displaced: () => this.displaced(),
          turnAway: () => this.stopWaiting(),
        })
      : undefined
    if (leave === undefined) return this.#refuse(new TunnelFault('tunnel-offline'))
    this.#enter({ kind: 'held', leave })
    this.#downstream.expireIn(SWEEP_MS)
  }

  get #mayWait(): boolean {
    return this.#downstream.mayWait && !this.#visitorEnded
  }

  /** The tunnel has no stream: waits for the next one that is free, in a queue that is fair by visitor. */
  #queue(route: Route, fault: TunnelFault): void {
    this.#queuedAt ??= this.#host.now()
    const { queue } = route
    // A place in the queue of a channel that is gone: room that is made for this request must not be its own.
    if (this.#state.kind === 'queued' && this.#state.queue !== queue) this.#state.leave()
    const leave = this.#mayWait ? queue?.enter(this) : undefined
    if (leave === undefined) return this.#refuse(this.#logged(fault))
    const waited = this.#state.kind === 'queued'
    this.#enter({ kind: 'queued', queue, leave, fault })
    // A try in vain is no reason to look later whether its time is over.
    if (!waited) this.#downstream.expireIn(SWEEP_MS)
  }

  retry(): void {
    if (this.#state.kind === 'queued') this.#guarded(() => this.#lookUp(0))
  }

  /** The connection's next request does not take the place back. */
  displaced(): void {
    if (this.#state.kind === 'queued') this.#answer(this.#logged(this.#state.fault), false)
    else if (this.#state.kind === 'held') this.#answer(new TunnelFault('tunnel-offline'), false)
  }

  #leaveQueue({ leave, fault }: Extract<State, { kind: 'queued' }>): void {
    leave()
    this.#refuse(this.#logged(fault))
  }

  #keepWaiting(): void {
    this.#downstream.probe()
    this.#downstream.expireIn(SWEEP_MS)
  }

  // ── send ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param admission of the route's gate, where it has one */
  #send(route: Route, admission?: Admission): void {
    const downstream = this.#downstream
    const leave = downstream.defer?.(() => this.#guarded(() => this.#lookUp(0)))
    if (leave !== undefined) {
      this.#enter({ kind: 'deferred', leave })
      return downstream.expireIn(SWEEP_MS)
    }
    const head = this.#head!
    if (!downstream.bindsStreams && requestSignsIn(head)) return this.#requireHttp1()
    const { cookies } = this.#context
    const { proto, forwarded } = this.#visitor
    const passedOn = downstream.fromPeer === true
    const forwarding = {
      forwarded,
      requestId: this.requestId,
      receivedBy: downstream.receivedBy,
      passedOn,
    }
    const changes = admission?.response({ scheme: proto, authority: head.host })
    if (this.#waited) this.#since = this.#host.now()
    const request: ExchangeRequest = {
      at: this.#since,
      head,
      record: this.#record,
      asker: this,
      first: this.#first,
      mayKeepAlive: downstream.mayKeepAlive,
      mayMove: this.#mayMove,
      bindsStreams: downstream.bindsStreams,
      cookies,
      mostListBytes: downstream.mostListBytes,
      changes: passedOn ? { ...changes, passedOn } : changes,
      body: this.#body,
      reader: this.#reader,
    }
    const headBytes = writeRequestHead(
      head,
      admission === undefined ? forwarding : { ...forwarding, ...admission.request },
    )
    let exchange: Exchange
    try {
      exchange = this.#exchange(route, request, headBytes)
    } catch (error) {
      const fault = toFault(error)
      // The channel goes in this very moment, and nothing was sent.
      if (fault.code === 'channel-closed' && this.#mayMove) return this.#move(fault)
      if (fault.code === 'streams-exhausted') return this.#queue(route, fault)
      return this.#refuse(this.#logged(fault))
    }
    this.#first = false
    route.users?.add(this)
    this.#record.admitted(this.#since, route.roundTripMs)
    this.#enter({ kind: 'sending', exchange, route })
    if (!exchange.requestDone) downstream.setReading(true)
    if (this.#visitorEnded) exchange.visitorEnded()
  }

  #exchange(route: Route, request: ExchangeRequest, headBytes: Buffer): Exchange {
    const bound = this.#takeBound(route)
    try {
      return new Exchange(this, route, request, headBytes, bound)
    } catch (error) {
      if (toFault(error).code !== 'streams-exhausted' || !this.#evictFrom(route)) throw error
      return new Exchange(this, route, request, headBytes)
    }
  }

  #evictFrom({ users }: Route): boolean {
    const { addressKey } = this
    const waitedMs = this.#queuedAt === undefined ? 0 : this.#host.now() - this.#queuedAt
    return users !== undefined && evictFor(users, { addressKey, waitedMs })
  }

  #takeBound(route: Route): Lease | undefined {
    const bound = this.#bound
    if (bound === undefined) return undefined
    this.#bound = undefined
    return bound.take(route)
  }

  // ── what the exchange asks for ────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    this.#record.bytesOut += bytes.length
    const taken = this.#downstream.write(bytes)
    if (!taken) this.#fullSince ??= this.#host.now()
    return taken
  }

  progressed(): boolean {
    return this.#downstream.progressed()
  }

  endWriting(): void {
    this.#downstream.endWriting()
  }

  setReading(on: boolean): void {
    this.#downstream.setReading(on)
  }

  expireIn(ms: number): void {
    this.#downstream.expireIn(ms)
  }

  now(): number {
    return this.#host.now()
  }

  exchangeOver(outcome: Outcome): void {
    if (this.#state.kind !== 'sending') return
    const { route } = this.#state
    route.users?.delete(this)
    switch (outcome.kind) {
      case 'complete':
        if (outcome.bound !== undefined) this.#bind(route, outcome.bound)
        return this.#finish('whole', outcome.keepAlive ? 'keep-alive' : 'close', outcome.at)
      case 'fault':
        return this.#answer(this.#logged(outcome.fault), outcome.requestEnded)
      case 'elsewhere':
        // What was sent of the body is sent again, before what has come since.
        this.#downstream.putBack(outcome.body)
        for (const { length } of outcome.body) this.#record.bytesIn -= length
        return this.#move(outcome.fault)
      case 'cut':
        this.#record.fault = this.#logged(outcome.fault).code
        return this.#finish('cut', 'cut')
      case 'abandoned':
        return this.#finish(this.#goneAs, outcome.reading ? 'cut' : 'abandoned')
      case 'http1-required':
        return this.#requireHttp1()
    }
  }

  #bind(route: Route, lease: Lease): void {
    const { addressKey } = this
    this.#bound = new BoundStream({ route, host: this.#head!.host, addressKey, lease, now: () => this.#host.now() })
  }

  // ── done ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #requireHttp1(): void {
    // A proxy's HTTP/1.1 would help nobody: what signs in is one visitor's, and the connection is not.
    if (this.#downstream.proxies !== undefined)
      return this.#answer(this.#logged(new TunnelFault('connection-sign-in')), false)
    this.#record.fault = this.#logged(new TunnelFault('connection-sign-in')).code
    this.#finish('refused', 'http1-required')
  }

  #redirect({ origin }: Redirect): void {
    this.#answerWhole(REDIRECT_STATUS, redirectAnswer(origin, this.#head!, this.requestId))
  }

  #answerWhole(status: number, answer: Buffer): void {
    this.#record.status = status
    this.#writeLast(answer, 'whole', 'close')
  }

  #refuse(fault: TunnelFault): void {
    this.#answer(fault, this.#head?.framing === 'none' && !this.#visitorEnded)
  }

  /** `requestEnded`: the request was read to its end, so that another may follow. */
  #answer(fault: TunnelFault, requestEnded: boolean): void {
    const downstream = this.#downstream
    if (downstream.returnFault !== undefined) {
      this.#enter(IDLE)
      return downstream.returnFault(fault)
    }
    const head = this.#head
    const keepAlive = requestEnded && downstream.mayKeepAlive && head?.keepAlive === true
    const [accept, method] = [head?.field('accept'), head?.method ?? 'GET']
    if (this.#waited) this.#record.turnedAway()
    const { serverTiming } = this.#record
    const answer = faultAnswer(fault, { accept, method, requestId: this.requestId, keepAlive, serverTiming })
    this.#record.status = fault.status
    this.#record.fault = fault.code
    this.#writeLast(answer, 'refused', keepAlive ? 'keep-alive' : 'close')
  }

  #writeLast(answer: Buffer, end: RequestEnd, ending: Ending): void {
    this.#enter({ kind: 'answered', end, ending })
    if (this.write(answer)) return this.#finish(end, ending)
    this.#downstream.expireIn(VISITOR_IDLE_MS)
  }

  /** Where a request ends, whatever became of it. `at`: when, if that is known. */
  #finish(end: RequestEnd, ending: Ending, at?: number): void {
    if (this.#state.kind === 'idle') return
    this.#enter(IDLE)
    this.#fullSince = undefined
    this.#record.over(end, at)
    this.#context.records.over(this.#record)
    this.#downstream.done(ending)
  }

  // ── its states ────────────────────────────────────────────────────────────────────────────────────────────────────

  #enter<S extends State>(state: S): S {
    this.#state = state
    return state
  }

  #logged(fault: TunnelFault): TunnelFault {
    this.#context.failed(this.requestId, fault)
    return fault
  }

  /** What throws in a step that nobody waits for ends this request and nothing else. */
  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.fail(toFault(error))
    }
  }
}
