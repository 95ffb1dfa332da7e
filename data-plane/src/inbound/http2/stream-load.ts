/** What one request over HTTP/2 holds in memory, and what it may soon hold. Times are monotonic, in milliseconds. */
import {
  H2_HELD_UPLOAD_BYTES,
  INITIAL_WINDOW_BYTES,
  STREAM_BACKLOG_BYTES,
  STREAM_WAIT_MS,
} from '@postern/protocol/limits'
import type { GatedInput } from '../../h2/gated-input.ts'
import type { ProxyRequest } from '../../proxy/proxy-request.ts'
import type { Http2ResponseWriter } from './http2-response-writer.ts'
import { RecentFlow } from './recent-flow.ts'

/** A head is kept as the fields that came, as the bytes that they were written as, and as those that are sent on. */
const COPIES_OF_HEAD = 3

export class StreamLoad {
  headBytes = 0
  trailerBytes = 0
  /** Of a body that is to be delivered again. */
  againBytes = 0
  /** The local server takes nothing of the body just now. */
  stalled = false
  bodyEnded = false
  readonly #request: Pick<ProxyRequest, 'sending' | 'keptBytes'>
  readonly #response: Pick<Http2ResponseWriter, 'bodyWaiting' | 'interimBytes' | 'whole'>
  readonly #body: Pick<GatedInput, 'length'>
  readonly #responseFlow = new RecentFlow()
  readonly #bodyFlow = new RecentFlow()
  #sentAt = 0
  #responding = false
  #dropped = false

  constructor(
    request: Pick<ProxyRequest, 'sending' | 'keptBytes'>,
    response: Pick<Http2ResponseWriter, 'bodyWaiting' | 'interimBytes' | 'whole'>,
    body: Pick<GatedInput, 'length'>,
  ) {
    this.#request = request
    this.#response = response
    this.#body = body
  }

  /** Whether the request has a stream to its local server. */
  get sending(): boolean {
    return this.#request.sending
  }

  /** The request is sent now. */
  sent(now: number): void {
    this.#sentAt = now
  }

  /** So many bytes of the response have come. */
  response(bytes: number, now: number): void {
    this.#responding = true
    this.#responseFlow.add(bytes, now)
  }

  /** So many bytes of the body have come, and were passed on. */
  body(bytes: number, now: number): void {
    this.#bodyFlow.add(bytes, now)
  }

  /** All of it is let go. */
  drop(): void {
    this.#dropped = true
  }

  /** Bytes that it holds. What a response's window has grown to is bounded by tenant (WINDOW_BUDGET_BYTES). */
  get held(): number {
    if (this.#dropped) return 0
    return (
      Math.min(this.#response.bodyWaiting, INITIAL_WINDOW_BYTES) + this.#response.interimBytes + this.#heldOfRequest
    )
  }

  /** Bytes that it holds or may soon hold: of a response, or of a body, another window may come at once. */
  weight(now: number): number {
    if (this.#dropped || !this.sending) return this.held
    const response = Math.min(INITIAL_WINDOW_BYTES, this.#expectedResponse(now))
    const body = Math.min(H2_HELD_UPLOAD_BYTES, this.#expectedBody(now))
    const { bodyWaiting, interimBytes } = this.#response
    return Math.max(bodyWaiting + interimBytes, response) + Math.max(this.#heldOfRequest, body)
  }

  /** As `weight`, but what flows is expected to be taken as it has been so far. */
  leastWeight(now: number): number {
    const awaited = this.sending && !this.#responding && this.#isYoung(now)
    return this.held + (awaited ? INITIAL_WINDOW_BYTES : 0)
  }

  get #heldOfRequest(): number {
    const queued = this.stalled && this.sending ? STREAM_BACKLOG_BYTES : 0
    const body = this.#body.length + this.againBytes + this.#request.keptBytes
    return body + queued + this.trailerBytes + COPIES_OF_HEAD * this.headBytes
  }

  /** What has begun may go on at once with as much as was asked for, for a while; then it is expected to go on as it has. */
  #expectedResponse(now: number): number {
    if (this.#response.whole) return 0
    return this.#isYoung(now) ? Infinity : this.#responseFlow.bytes(now)
  }

  #expectedBody(now: number): number {
    if (this.bodyEnded) return 0
    return this.stalled || this.#isYoung(now) ? Infinity : this.#bodyFlow.bytes(now)
  }

  #isYoung(now: number): boolean {
    return now < this.#sentAt + STREAM_WAIT_MS
  }
}
