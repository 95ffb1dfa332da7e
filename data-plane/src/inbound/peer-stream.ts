/**
 * One request that a peer has forwarded for a tunnel with rules: authorised and proxied as any visitor's, and answered to the peer. Where it carries a sign-in
 * that belongs to a connection, the further requests of that visitor's connection follow.
 */

import { addressKey } from '@postern/protocol/address'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { type CookieFence, HeadCarry, type RequestHead, RequestHeadParser } from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, HOP_HEAD_ADDED, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import type { ByteStream, StreamListener } from '@postern/protocol/mux'
import { ByteQueue } from '@postern/protocol/socket'
import type { Downstream, Ending } from '../proxy/downstream.ts'
import { ProxyRequest } from '../proxy/proxy-request.ts'
import { requestSignsIn } from '../route/connection-sign-in.ts'
import type { Asker, Failure, Route } from '../route/route.ts'
import type { Expirable, Sweeper } from './sweeper.ts'

export interface PeerStreamContext {
  readonly proto: 'http' | 'https'
  readonly cookies: CookieFence
  readonly sweeper: Sweeper
  failed(requestId: string, fault: TunnelFault): void
  /** Monotonic milliseconds. */
  now(): number
}

type State = 'head' | 'request' | 'over'

/** The peer keeps the request's record. */
const NO_RECORDS = { begun: () => {}, over: () => {} }

export class PeerStream implements Downstream, Expirable {
  deadline: number
  readonly clientAddress: string
  readonly addressKey: string
  readonly fromPeer = true
  /** For a stream of its tunnel. For an agent the peer waits. */
  readonly mayWait = true
  readonly bindsStreams = true
  /** For the stream that the request comes by. */
  readonly listener: StreamListener
  readonly #stream: ByteStream
  readonly #context: PeerStreamContext
  readonly #requestId: string
  readonly #returned: (failure: Failure) => void
  readonly #request: ProxyRequest
  readonly #parser = new RequestHeadParser(HOP_HEAD_ADDED)
  #carry = new HeadCarry()
  readonly #unwatch: () => void
  #state: State = 'head'
  /** A request of its visitor's connection has signed in. */
  #signsIn = false
  /** Bytes of the body that are not wanted yet: no more than the stream's window, which is not credited for them. */
  readonly #waiting = new ByteQueue()
  /** The peer has ended its writing. */
  #ended = false
  #held = false
  #feeding = false

  /** `returned` is called instead of a response, at most once. */
  constructor(
    stream: ByteStream,
    asker: Asker,
    route: Route,
    context: PeerStreamContext,
    returned: (failure: Failure) => void,
  ) {
    const { proto, cookies, failed, now } = context
    this.#stream = stream
    this.#context = context
    this.#requestId = asker.requestId
    this.#returned = returned
    this.clientAddress = asker.visitorAddress
    this.addressKey = addressKey(asker.visitorAddress, 'observed')
    // The request was sent for this channel, and goes by no other.
    const dispatcher = { find: () => route }
    this.#request = new ProxyRequest(
      this,
      { dispatcher, proto, cookies, records: NO_RECORDS, failed, newRequestId: () => asker.requestId },
      { now },
    )
    this.deadline = context.sweeper.deadlineIn(HEAD_TIMEOUT_MS)
    this.#unwatch = context.sweeper.add(this)
    this.listener = {
      data: (chunk) => this.#read(chunk),
      end: () => this.#readEnd(),
      reset: () => this.#gone(),
      writable: () => this.#request.drained(),
    }
  }

  expire(): void {
    if (this.#state === 'request') this.#request.expire()
    else if (this.#signsIn) this.#gone()
    else this.returnFault(new TunnelFault('head-timeout'))
  }

  // ── what its request asks for ─────────────────────────────────────────────────────────────────────────────────────

  get mayKeepAlive(): boolean {
    return this.#signsIn
  }

  write(bytes: Buffer): boolean {
    return this.#stream.write(bytes)
  }

  /** The peer ends a request whose visitor takes nothing. */
  progressed(): boolean {
    return true
  }

  endWriting(): void {
    this.#stream.end()
    // What waits goes ahead of the end. A stream that has ended reports no room, so nothing else would show that the response is out.
    this.#request.drained()
  }

  setReading(on: boolean): void {
    this.#held = !on
    if (on) this.#feed()
  }

  putBack(pieces: readonly Buffer[]): void {
    this.#waiting.prepend(pieces)
  }

  /** A stream reports a reset at any time. */
  probe(): void {}

  expireIn(ms: number): void {
    this.deadline = this.#context.sweeper.deadlineIn(ms)
  }

  done(ending: Ending): void {
    if (this.#state === 'over') return
    if (ending === 'keep-alive' && this.#signsIn) return this.#nextHead()
    this.#end()
    if (ending === 'keep-alive' || ending === 'close') this.#stream.end()
    else this.#stream.reset()
  }

  /** Its agent's channel is gone: another may have the name by now. Every other fault is final. */
  returnFault(fault: TunnelFault): void {
    if (this.#state === 'over') return
    this.#end()
    const gone = fault.code === 'channel-lost' || fault.code === 'channel-closed'
    this.#returned({ fault, unsent: false, next: gone ? 'elsewhere' : 'nowhere' })
  }

  // ── the stream ────────────────────────────────────────────────────────────────────────────────────────────────────

  #read(chunk: Buffer): void {
    // The response is out, or the request refused: what still comes goes nowhere.
    if (this.#state === 'over') return this.#stream.consume(chunk.length)
    this.#waiting.append(chunk)
    this.#feed()
  }

  #feed(): void {
    if (this.#feeding) return
    this.#feeding = true
    let fed = false
    while (this.#waiting.length > 0 && this.#wantsBytes) {
      const chunk = this.#waiting.take()!
      const taken = this.#take(chunk)
      if (taken < chunk.length) this.#waiting.prepend([chunk.subarray(taken)])
      this.#stream.consume(taken)
      fed = true
    }
    this.#feeding = false
    if (fed) this.#handOnEnd()
  }

  get #wantsBytes(): boolean {
    return this.#state !== 'request' || (!this.#held && this.#request.takesBytes)
  }

  /** How many bytes of the chunk were taken. */
  #take(chunk: Buffer): number {
    if (this.#state === 'head') return this.#readHead(chunk)
    return this.#state === 'over' ? chunk.length : this.#request.bodyBytes(chunk, 0, chunk.length)
  }

  #readHead(chunk: Buffer): number {
    const before = this.#carry.length
    let head: RequestHead | undefined
    try {
      this.#carry.append(chunk, 0, chunk.length)
      head = this.#parser.parse(this.#carry.buffer, 0, this.#carry.length)
    } catch (error) {
      const fault = toFault(error, 'request-invalid')
      this.#context.failed(this.#requestId, fault)
      this.returnFault(fault)
      return chunk.length
    }
    if (head === undefined) return chunk.length
    this.#state = 'request'
    this.#signsIn ||= requestSignsIn(head)
    const { bytes } = head
    this.#request.begin(head, bytes, 'HTTP/1.1', this.#requestId)
    return bytes - before
  }

  /** The peer ends the stream with its visitor's connection. */
  #nextHead(): void {
    this.#state = 'head'
    this.#held = false
    this.#carry = new HeadCarry()
    this.expireIn(2 * VISITOR_IDLE_MS)
    this.#feed()
  }

  #readEnd(): void {
    this.#ended = true
    this.#handOnEnd()
  }

  /** The end stands behind all that waits. A request that waits itself learns of it at once, since its visitor may have left. */
  #handOnEnd(): void {
    if (!this.#ended || (this.#waiting.length > 0 && !this.#request.waits)) return
    if (this.#state === 'request') return this.#request.visitorEnded()
    if (this.#state !== 'head') return
    this.#end()
    // A reset would cut what the peer has yet to take of the last response.
    this.#stream.end()
  }

  #gone(): void {
    const state = this.#state
    this.#end()
    if (state === 'head') this.#stream.reset()
  }

  /** A stream of the tunnel that belongs to the visitor's connection ends with it, too. */
  #end(): void {
    this.#state = 'over'
    this.#request.visitorGone()
    this.#waiting.take()
    this.#parser.release()
    this.#unwatch()
  }
}
