/** Streams to one local server that are kept for further requests, wherever they come from. */
import { TunnelFault } from '@postern/protocol/fault'
import {
  FRESH_ENOUGH_MS,
  IDLE_STREAM_MS,
  IDLE_STREAMS_PER_TUNNEL,
  ONE_AT_A_TIME_MS,
  UNREAD_REQUEST_MS,
} from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import type { Asker, Failure, Freshness, Lease } from './route.ts'
import type { StreamQueue } from './stream-queue.ts'

/** A stream of the pool. A mux stream of an agent's channel is one as it is. */
export interface PooledStream extends RawStream {
  /** As `Lease.tentative`. */
  readonly tentative?: boolean
  /** It cannot carry another exchange. */
  readonly single?: boolean
  /** An exchange takes it; `rest` follows, unless it is reset. */
  begin?(): void
  rest?(): void
}

/** Where streams come from. */
export interface StreamSource {
  /** @throws TunnelFault `streams-exhausted`, `channel-closed` */
  openStream(asker: Asker): PooledStream
  /** Why the far end reset a stream, where it said so; told once. */
  takeFailure(streamId: number): Failure | undefined
}

export class StreamPool {
  readonly #source: StreamSource
  readonly #now: () => number
  /** Youngest last: it is the least likely to be closed by the local server, and the old ones are left to expire. */
  readonly #idle: PoolLease[] = []
  /** Ended by us, waiting for the local server to end as well; each with the end of its time. */
  readonly #leaving = new Map<PoolLease, number>()
  /** Opened for a request, and neither it nor a later one has a byte of its response; the longest first. */
  readonly #unanswered = new Set<PoolLease>()
  readonly #queue: StreamQueue
  readonly #oldestMs: number
  #retired = false

  /** `now` is monotonic, in milliseconds. `queue`: the requests that wait for one of these streams. `oldestMs`: a stream that was opened longer ago is not kept. */
  constructor(source: StreamSource, now: () => number, queue: StreamQueue, oldestMs = Infinity) {
    this.#source = source
    this.#now = now
    this.#queue = queue
    this.#oldestMs = oldestMs
  }

  /** @throws TunnelFault `streams-exhausted`, `channel-closed` */
  lease(freshness: Freshness, asker: Asker, again = false): Lease {
    if (!again) this.#queue.guard()
    const kept = freshness === 'fresh' ? undefined : this.#youngest(freshness === 'young' ? FRESH_ENOUGH_MS : Infinity)
    const lease = kept ?? this.#open(asker)
    lease.stream.begin?.()
    return lease
  }

  /** Lets idle streams go whose time is over. Called about once a second. */
  sweep(): void {
    const now = this.#now()
    for (const [lease, until] of this.#leaving) if (until <= now) lease.reset()
    if (this.#servesOneAtATime(now)) this.#leaveIdle()
    let expired = 0
    while (expired < this.#idle.length && this.#idle[expired]!.idleUntil <= now) expired++
    for (const lease of this.#idle.splice(0, expired)) lease.leave()
  }

  /** No further requests come: idle streams are let go now, busy ones as soon as they are given back. */
  retire(): void {
    this.#retired = true
    this.#leaveIdle()
    // The requests that wait look for the tunnel's next channel.
    this.#queue.freed()
  }

  get idleStreams(): number {
    return this.#idle.length
  }

  #youngest(maxAgeMs: number): PoolLease | undefined {
    const now = this.#now()
    const lease = this.#idle.at(-1)
    if (lease === undefined || lease.idleUntil <= now || now - lease.idleSince > maxAgeMs) return undefined
    return this.#idle.pop()
  }

  #open(asker: Asker): PoolLease {
    let stream: PooledStream
    try {
      stream = this.#source.openStream(asker)
    } catch (error) {
      const spare = this.#idle[0] ?? this.#firstLeaving()
      if (spare === undefined || !(error instanceof TunnelFault) || error.code !== 'streams-exhausted') throw error
      spare.reset()
      stream = this.#source.openStream(asker)
    }
    const lease = this.#wrap(stream)
    lease.openedAt = this.#now()
    this.#unanswered.add(lease)
    return lease
  }

  #firstLeaving(): PoolLease | undefined {
    const [first] = this.#leaving.keys()
    return first
  }

  /**
   * A local server that serves one connection at a time answers no other while it waits for the next request on a kept one: a fresh stream has been without
   * an answer for ONE_AT_A_TIME_MS.
   */
  #servesOneAtATime(now: number): boolean {
    const [longest] = this.#unanswered
    return longest !== undefined && now - longest.openedAt >= ONE_AT_A_TIME_MS
  }

  /** Those that were opened before it wait for their own sake: a local server that serves one connection at a time would have answered them first. */
  #answered(lease: PoolLease): void {
    if (!this.#unanswered.has(lease)) return
    for (const earlier of this.#unanswered) {
      this.#unanswered.delete(earlier)
      if (earlier === lease) return
    }
  }

  #leaveIdle(): void {
    for (const lease of this.#idle.splice(0)) lease.leave()
  }

  #wrap(stream: PooledStream): PoolLease {
    return new PoolLease(stream, {
      answered: (lease) => this.#answered(lease),
      keep: (lease, idleMs) => this.#keep(lease, idleMs),
      leave: (lease, unread) => {
        this.#unanswered.delete(lease)
        this.#leaving.set(lease, unread ? this.#now() + UNREAD_REQUEST_MS : 0)
      },
      gone: (lease) => this.#forget(lease),
      failure: (streamId) => this.#source.takeFailure(streamId),
    })
  }

  #keep(lease: PoolLease, idleMs: number): void {
    const now = this.#now()
    this.#unanswered.delete(lease)
    if (this.#retired || now - lease.openedAt >= this.#oldestMs) return lease.leave()
    if (this.#unanswered.size > 0 && this.#servesOneAtATime(now)) return lease.leave()
    lease.idleSince = now
    lease.idleUntil = now + Math.min(idleMs, IDLE_STREAM_MS)
    this.#idle.push(lease)
    if (this.#idle.length > IDLE_STREAMS_PER_TUNNEL) this.#idle[0]!.reset()
    this.#queue.freed()
  }

  #forget(lease: PoolLease): void {
    this.#unanswered.delete(lease)
    if (this.#leaving.delete(lease)) return
    const at = this.#idle.indexOf(lease)
    if (at >= 0) this.#idle.splice(at, 1)
  }
}

interface LeaseHome {
  answered(lease: PoolLease): void
  keep(lease: PoolLease, idleMs: number): void
  leave(lease: PoolLease, unread: boolean): void
  gone(lease: PoolLease): void
  failure(streamId: number): Failure | undefined
}

/** A stream of the pool; whatever the local server does with an idle one ends it. */
class PoolLease implements Lease {
  readonly stream: PooledStream
  reused = false
  openedAt = 0
  idleSince = 0
  idleUntil = 0
  readonly #home: LeaseHome
  /** It was left while the local server may still read a request, or a WebSocket's end. */
  #unread = false
  /** Its listener while no exchange has it. */
  readonly #resting: StreamListener = {
    data: (chunk) => {
      if (this.#unread) this.stream.consume(chunk.length)
      // A response that nobody asked for must not become the answer to the next request.
      else this.reset()
    },
    end: () => {
      this.#home.gone(this)
      this.stream.end()
    },
    reset: () => this.#home.gone(this),
    writable: () => {},
  }

  constructor(stream: PooledStream, home: LeaseHome) {
    this.stream = stream
    this.#home = home
  }

  get tentative(): boolean {
    return this.stream.tentative === true
  }

  get judged(): boolean {
    return this.stream.single === true
  }

  keep(idleMs: number): void {
    if (this.stream.single) return this.leave()
    this.reused = true
    this.#atRest()
    this.#home.keep(this, idleMs)
  }

  answered(): void {
    if (!this.reused) this.#home.answered(this)
  }

  bind(): void {
    this.reused = true
    this.stream.rest?.()
  }

  wake(): void {
    this.stream.begin?.()
  }

  leave(unread = false): void {
    this.#unread = unread
    this.#atRest()
    this.#home.leave(this, unread)
    this.stream.end()
  }

  reset(): void {
    this.#home.gone(this)
    this.stream.reset()
  }

  failure(): Failure | undefined {
    return this.#home.failure(this.stream.id)
  }

  #atRest(): void {
    this.stream.listen(this.#resting)
    this.stream.rest?.()
  }
}
