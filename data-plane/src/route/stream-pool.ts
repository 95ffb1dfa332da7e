/** Streams to one local server that are kept for further requests, wherever they come from. Knows nothing of channels, rules or HTTP. */
import { TunnelFault } from '@postern/protocol/fault'
import { FRESH_ENOUGH_MS, IDLE_STREAM_MS, IDLE_STREAMS_PER_TUNNEL } from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import type { Asker, Failure, Freshness, Lease } from './route.ts'

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
  /** Ended by us, waiting for the local server to end as well. */
  readonly #leaving = new Set<PoolLease>()
  #retired = false

  /** `now` is monotonic, in milliseconds. */
  constructor(source: StreamSource, now: () => number) {
    this.#source = source
    this.#now = now
  }

  /** @throws TunnelFault `streams-exhausted`, `channel-closed` */
  lease(freshness: Freshness, asker: Asker): Lease {
    const kept = freshness === 'fresh' ? undefined : this.#youngest(freshness === 'young' ? FRESH_ENOUGH_MS : Infinity)
    const lease = kept ?? this.#open(asker)
    lease.stream.begin?.()
    return lease
  }

  /** Lets idle streams go whose time is over. Called about once a second. */
  sweep(): void {
    for (const lease of this.#leaving) this.#drop(lease)
    const now = this.#now()
    let expired = 0
    while (expired < this.#idle.length && this.#idle[expired]!.idleUntil <= now) expired++
    for (const lease of this.#idle.splice(0, expired)) lease.leave()
  }

  /** No further requests come: idle streams are let go now, busy ones as soon as they are given back. */
  retire(): void {
    this.#retired = true
    for (const lease of this.#idle.splice(0)) lease.leave()
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
    try {
      return this.#wrap(this.#source.openStream(asker))
    } catch (error) {
      const oldest = this.#idle.shift()
      if (oldest === undefined || !(error instanceof TunnelFault) || error.code !== 'streams-exhausted') throw error
      oldest.stream.reset()
      return this.#wrap(this.#source.openStream(asker))
    }
  }

  #wrap(stream: PooledStream): PoolLease {
    return new PoolLease(stream, {
      keep: (lease, idleMs) => this.#keep(lease, idleMs),
      leave: (lease) => this.#leaving.add(lease),
      gone: (lease) => this.#forget(lease),
      failure: (streamId) => this.#source.takeFailure(streamId),
    })
  }

  #keep(lease: PoolLease, idleMs: number): void {
    if (this.#retired) return lease.leave()
    const now = this.#now()
    lease.idleSince = now
    lease.idleUntil = now + Math.min(idleMs, IDLE_STREAM_MS)
    this.#idle.push(lease)
    if (this.#idle.length > IDLE_STREAMS_PER_TUNNEL) this.#idle.shift()!.stream.reset()
  }

  #forget(lease: PoolLease): void {
    if (this.#leaving.delete(lease)) return
    const at = this.#idle.indexOf(lease)
    if (at >= 0) this.#idle.splice(at, 1)
  }

  #drop(lease: PoolLease): void {
    this.#leaving.delete(lease)
    lease.stream.reset()
  }
}

interface LeaseHome {
  keep(lease: PoolLease, idleMs: number): void
  leave(lease: PoolLease): void
  gone(lease: PoolLease): void
  failure(streamId: number): Failure | undefined
}

/** A stream and, while it is idle, its listener: whatever the local server does with an idle connection ends it. */
class PoolLease implements Lease, StreamListener {
  readonly stream: PooledStream
  reused = false
  idleSince = 0
  idleUntil = 0
  readonly #home: LeaseHome

  constructor(stream: PooledStream, home: LeaseHome) {
    this.stream = stream
    this.#home = home
  }

  get tentative(): boolean {
    return this.stream.tentative === true
  }

  keep(idleMs: number): void {
    if (this.stream.single) return this.leave()
    this.reused = true
    this.#atRest()
    this.#home.keep(this, idleMs)
  }

  leave(): void {
    this.#atRest()
    this.#home.leave(this)
    this.stream.end()
  }

  failure(): Failure | undefined {
    return this.#home.failure(this.stream.id)
  }

  #atRest(): void {
    this.stream.listen(this)
    this.stream.rest?.()
  }

  /** A response nobody asked for: it must not become the answer to the next request. */
  data(): void {
    this.#home.gone(this)
    this.stream.reset()
  }

  end(): void {
    this.#home.gone(this)
    this.stream.end()
  }

  reset(): void {
    this.#home.gone(this)
  }

  writable(): void {}
}
