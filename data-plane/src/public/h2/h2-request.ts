/**
 * One request of an HTTP/2 visitor: it is written as HTTP/1.1 and goes the way of all requests; what comes back is written to its stream.
 * Knows nothing of the other streams of its connection.
 */
import { constants, type ServerHttp2Stream } from 'node:http2'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  BodyBoundary,
  chunkOf,
  type ForwardedFields,
  http1LastChunk,
  http1RequestHead,
  type RawFields,
  type RequestHead,
  RequestHeadParser,
  ResponseHeadParser,
  writeRequestHead,
} from '@postern/protocol/http'
import { HEAD_TIMEOUT_MS, LINGER_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import type { Redirect } from '../../dispatch/redirector.ts'
import type { Route } from '../../route/route.ts'
import { Admission, type Applicant, type Application } from '../admission.ts'
import { Exchange, type ExchangeRequest, type Outcome, type Visitor } from '../exchange.ts'
import { faultAnswer } from '../fault-answer.ts'
import { keptWaiting } from '../kept-waiting.ts'
import { LAST_HOP_STATUS, lastHopAnswer } from '../last-hop-answer.ts'
import { REDIRECT_STATUS, redirectAnswer } from '../redirect-answer.ts'
import { type RequestEnd, RequestRecord } from '../request-record.ts'
import type { Perishable } from '../sweeper.ts'
import type { VisitorContext, VisitorHost } from '../visitor-context.ts'
import type { StreamUser } from '../who-gives-way.ts'
import { H2ResponseWriter } from './h2-response-writer.ts'

/** The connection, as its requests see it. */
export interface H2RequestHost {
  readonly clientAddress: string
  readonly addressKey: string
  readonly forwarded: ForwardedFields
  readonly context: VisitorContext
  readonly host: VisitorHost
  /** Whether a request may wait for its tunnel's agent: the task goes on. */
  readonly mayWait: boolean
  /** The visitor has taken the request back before its answer had ended. */
  takenBack(): void
}

type State =
  | { readonly kind: 'admission' }
  | { readonly kind: 'exchange'; readonly exchange: Exchange; readonly route: Route }
  /** Nothing more comes for it; the visitor may still be reading, or sending what nobody wants. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'gone' }

const ADMISSION: State = { kind: 'admission' }
const ANSWERED: State = { kind: 'answered' }
const GONE: State = { kind: 'gone' }
const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = constants

export class H2Request implements Visitor, Applicant, Perishable, StreamUser {
  deadline: number
  readonly clientAddress: string
  readonly addressKey: string
  readonly #stream: ServerHttp2Stream
  readonly #connection: H2RequestHost
  readonly #requestId: string
  readonly #record: RequestRecord
  readonly #admission: Admission
  readonly #parser = new RequestHeadParser()
  readonly #body = new BodyBoundary('request')
  readonly #reader = { heads: new ResponseHeadParser(), body: new BodyBoundary('response') }
  readonly #response: H2ResponseWriter
  #head: RequestHead | undefined
  #state: State = ADMISSION
  #trailers: RawFields = []
  #requestEnded: boolean
  #reading = false
  /** The exchange takes no bytes just now. */
  #held = false
  /** Since when the visitor has not read all that it was given. */
  #fullSince: number | undefined
  #since = 0
  /** It waits for its verdict or its agent: time has passed since its head came. */
  #waited = false
  /** Of the body, to be sent once more. */
  #again: Buffer[] = []

  /** `raw`: the fields of its head. `ended`: nothing follows them. */
  constructor(stream: ServerHttp2Stream, raw: RawFields, ended: boolean, connection: H2RequestHost) {
    const { context, host } = connection
    this.#stream = stream
    this.#connection = connection
    this.clientAddress = connection.clientAddress
    this.addressKey = connection.addressKey
    this.#requestEnded = ended
    this.#requestId = context.newRequestId()
    this.#record = new RequestRecord(connection.clientAddress, host.now)
    this.#admission = new Admission(this, context)
    this.#response = new H2ResponseWriter(stream, methodOf(raw))
    this.deadline = host.deadlineIn(HEAD_TIMEOUT_MS)
    // What goes wrong on a stream ends it, and 'close' follows.
    stream.on('error', () => {})
    stream.on('trailers', (_fields, _flags, trailers?: RawFields) => {
      this.#trailers = trailers ?? []
    })
    stream.on('drain', () => this.#drained())
    stream.on('aborted', () => this.#visitorGone())
    stream.on('finish', () => this.#answerSent())
    stream.on('close', () => this.#closed())
    this.#begin(raw)
  }

  /** The task stops: who waits for an agent is answered at once. */
  stopWaiting(): void {
    if (this.#state.kind === 'admission') this.#admission.stopWaiting()
  }

  uses(route: Route): boolean {
    return this.#state.kind === 'exchange' && this.#state.route === route
  }

  get streamAge(): number {
    return this.#connection.host.now() - this.#since
  }

  get slowFor(): number {
    if (this.#state.kind !== 'exchange') return 0
    const uploaded = this.#held ? undefined : this.#state.exchange.uploaded
    return keptWaiting(this.#connection.host.now(), { since: this.#since, fullSince: this.#fullSince, uploaded })
  }

  /** It ends now, whole or visibly not. */
  goAway(): void {
    if (this.#state.kind === 'exchange') this.#state.exchange.goAway()
  }

  giveWay(): void {
    if (this.#state.kind === 'exchange') this.#state.exchange.giveWay()
  }

  expire(): void {
    switch (this.#state.kind) {
      case 'admission':
        return this.#admission.expire()
      case 'exchange':
        return this.#state.exchange.expire()
      case 'answered':
        // RFC 9113 §8.1: a response that ended before its request asks for no more of it, without an error.
        this.#stream.close(this.#stream.writableFinished ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR)
        return
      case 'gone':
    }
  }

  // ── what becomes of it on its way to a route ──────────────────────────────────────────────────────────────────────

  get mayWait(): boolean {
    return this.#connection.mayWait
  }

  admit(route: Route, application: Application): void {
    const { head, mayMove, requestId } = application
    const { context, forwarded, host } = this.#connection
    const { gate } = route
    const forwarding = { forwarded, requestId, receivedBy: '2.0' as const }
    const request: ExchangeRequest = {
      head,
      headBytes: writeRequestHead(head, gate === undefined ? forwarding : { ...forwarding, ...gate.request }),
      record: this.#record,
      mayKeepAlive: true,
      mayMove,
      cookies: context.cookies,
      changes: gate?.response({ scheme: context.proto, authority: head.host }),
      body: this.#body,
      reader: this.#reader,
    }
    if (this.#waited) this.#since = host.now()
    this.#record.admitted(this.#since, route.roundTripMs)
    try {
      this.#state = { kind: 'exchange', exchange: this.#exchange(route, request), route }
    } catch (error) {
      const fault = toFault(error)
      // It goes in this very moment, and nothing was sent.
      if (fault.code === 'channel-closed' && mayMove) return this.#admission.beginAgain(head, requestId, fault)
      context.failed(requestId, fault)
      return this.#answer(fault)
    }
    this.#sendAgain()
    this.#readBody()
  }

  redirect({ origin }: Redirect, { head, requestId }: Application): void {
    this.#answerWhole(REDIRECT_STATUS, redirectAnswer(origin, head, requestId))
  }

  refuse(fault: TunnelFault): void {
    this.#answer(fault)
  }

  /** Nothing waits here: the stream's own window holds back what has come meanwhile. */
  resume(): void {}

  // ── what an exchange asks for ─────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    this.#record.bytesOut += bytes.length
    const room = this.#written(bytes)
    if (!room) this.#fullSince ??= this.#connection.host.now()
    return room
  }

  /** Only after an upgrade, which HTTP/2 has none of. */
  endWriting(): void {}

  setReading(on: boolean): void {
    this.#held = !on
    if (!this.#reading) return
    if (on) this.#stream.resume()
    else this.#stream.pause()
  }

  expireIn(ms: number): void {
    this.deadline = this.#connection.host.deadlineIn(ms)
  }

  exchangeOver(outcome: Outcome): void {
    if (this.#state.kind !== 'exchange') return
    const { context } = this.#connection
    this.#held = false
    switch (outcome.kind) {
      case 'complete':
        this.#recordEnd('whole', outcome.at)
        return this.#answered()
      case 'fault':
        context.failed(this.#requestId, outcome.fault)
        return this.#answer(outcome.fault)
      case 'homeless':
        this.#state = ADMISSION
        this.#waited = true
        // Nothing further is read until what was sent has been sent again.
        this.#again = [...outcome.body]
        for (const { length } of outcome.body) this.#record.bytesIn -= length
        if (this.#reading) this.#stream.pause()
        return this.#admission.beginAgain(this.#head!, this.#requestId, outcome.fault)
      case 'cut':
        return this.#cut(outcome.fault)
      case 'abandoned':
        this.#recordEnd('abandoned')
        this.#state = GONE
    }
  }

  // ── the stream ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Where a request begins. Its record counts bytes as HTTP/1.1 has them. */
  #begin(raw: RawFields): void {
    const { records } = this.#connection.context
    let bytes: Buffer | undefined
    try {
      bytes = http1RequestHead(raw, this.#requestEnded)
      this.#head = this.#parser.parse(bytes, 0, bytes.length)
      if (this.#head === undefined) throw new TunnelFault('request-invalid', 'The head has no end.')
    } catch (error) {
      this.#record.begin(this.#requestId, undefined, bytes?.length ?? 0, 'HTTP/2.0')
      return this.#answer(toFault(error, 'request-invalid'))
    }
    this.#since = this.#record.begin(this.#requestId, this.#head, bytes.length, 'HTTP/2.0')
    records.begun()
    if (this.#head.maxForwards === 0)
      return this.#answerWhole(LAST_HOP_STATUS, lastHopAnswer(this.#head, this.#requestId))
    this.#admission.begin(this.#head, this.#requestId)
    this.#waited = true
  }

  #exchange(route: Route, request: ExchangeRequest): Exchange {
    try {
      return new Exchange(this, route, request)
    } catch (error) {
      if (toFault(error).code !== 'streams-exhausted' || !this.#connection.host.makeRoom(route, this)) throw error
      return new Exchange(this, route, request)
    }
  }

  /** What an exchange before had sent of the body. */
  #sendAgain(): void {
    for (const piece of this.#again.splice(0))
      if (this.#state.kind === 'exchange') this.#state.exchange.visitorBytes(piece, 0, piece.length)
  }

  /** From now on the body comes; until then no more of it than a window. */
  #readBody(): void {
    if (this.#reading) return this.setReading(!this.#held)
    this.#reading = true
    this.#stream.on('data', (chunk: Buffer) => this.#send(chunk))
    this.#stream.on('end', () => this.#sendEnd())
    if (this.#held) this.#stream.pause()
  }

  #send(chunk: Buffer): void {
    if (this.#state.kind !== 'exchange') return
    const bytes = this.#head!.framing === 'chunked' ? chunkOf(chunk, 0, chunk.length) : chunk
    this.#state.exchange.visitorBytes(bytes, 0, bytes.length)
  }

  #sendEnd(): void {
    this.#requestEnded = true
    if (this.#state.kind !== 'exchange' || !this.#state.exchange.takesBytes) return
    try {
      // A body that is shorter than it said is no request (RFC 9113 §8.1.1); trailers have no place behind one of a given length.
      if (this.#head!.framing !== 'chunked') throw new TunnelFault('request-invalid', 'The body is not whole.')
      const last = http1LastChunk(this.#trailers, 'request')
      this.#state.exchange.visitorBytes(last, 0, last.length)
    } catch (error) {
      this.#record.fault = toFault(error, 'request-invalid').code
      this.#stream.close(NGHTTP2_PROTOCOL_ERROR)
      this.#visitorGone('cut')
    }
  }

  #drained(): void {
    this.#fullSince = undefined
    if (this.#state.kind === 'exchange') this.#state.exchange.visitorDrained()
  }

  #visitorGone(end: RequestEnd = 'abandoned'): void {
    const state = this.#state
    if (state.kind === 'gone') return
    this.#state = GONE
    if (state.kind === 'exchange') state.exchange.visitorGone()
    else if (state.kind === 'admission') this.#admission.withdraw()
    if (state.kind === 'exchange' || state.kind === 'admission') this.#recordEnd(end)
    this.#connection.takenBack()
  }

  #closed(): void {
    if (this.#state.kind !== 'answered') this.#visitorGone()
    this.#state = GONE
    this.#parser.release()
  }

  #answer(fault: TunnelFault): void {
    const head = this.#head
    if (this.#waited) this.#record.turnedAway()
    const { serverTiming } = this.#record
    const [accept, method] = [head?.field('accept'), head?.method ?? 'GET']
    this.#record.fault = fault.code
    this.#record.status = fault.status
    this.#writeLast(
      faultAnswer(fault, { accept, method, requestId: this.#requestId, keepAlive: true, serverTiming }),
      'refused',
    )
  }

  #answerWhole(status: number, answer: Buffer): void {
    this.#record.status = status
    this.#writeLast(answer, 'whole')
  }

  #writeLast(answer: Buffer, end: RequestEnd): void {
    this.#record.bytesOut += answer.length
    this.#recordEnd(end)
    this.#state = ANSWERED
    this.#written(answer)
    this.#answered()
  }

  /** Where a request ends, whatever became of it; once. */
  #recordEnd(end: RequestEnd, at?: number): void {
    this.#record.over(end, at)
    this.#connection.context.records.over(this.#record)
  }

  #written(bytes: Buffer): boolean {
    try {
      return this.#response.write(bytes)
    } catch (error) {
      this.#cut(toFault(error, 'origin-invalid'))
      return true
    }
  }

  #answered(): void {
    if (this.#state.kind === 'gone') return
    this.#state = ANSWERED
    this.expireIn(VISITOR_IDLE_MS)
    // What still comes of the request is dropped, so that its visitor comes to read the answer.
    this.#stream.resume()
    if (this.#stream.writableFinished) this.#answerSent()
  }

  #answerSent(): void {
    if (this.#state.kind === 'answered' && !this.#stream.readableEnded) this.expireIn(LINGER_MS)
  }

  /** A part went out, or may have: the reset says that it is not the whole. */
  #cut(fault: TunnelFault): void {
    const { context } = this.#connection
    const state = this.#state
    if (state.kind === 'gone') return
    this.#state = GONE
    context.failed(this.#requestId, fault)
    if (state.kind === 'exchange') state.exchange.visitorGone()
    if (state.kind === 'exchange' || state.kind === 'admission') {
      this.#record.fault = fault.code
      this.#recordEnd('cut')
    }
    this.#stream.close(NGHTTP2_INTERNAL_ERROR)
  }
}

const methodOf = (raw: RawFields): string => {
  const at = raw.indexOf(':method')
  return at === -1 ? 'GET' : raw[at + 1]!
}
