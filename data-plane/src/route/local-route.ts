/** The route to a tunnel whose channel is in this process: opens mux streams and keeps idle ones for the next request. Knows nothing of HTTP. */
import { TunnelFault } from '@postern/protocol/fault'
import { FRESH_ENOUGH_MS, IDLE_STREAM_MS, IDLE_STREAMS_PER_TUNNEL } from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import type { Tunnel } from '../channel/tunnel.ts'
import type { Freshness, Lease, Route } from './route.ts'
import type { VisitorGate } from './visitor-gate.ts'

/** What the route needs of an agent's channel. */
export type StreamSource = Pick<Tunnel, 'openStream' | 'takeFailure'> & Partial<Pick<Tunnel, 'roundTripMs'>>

export class LocalRoute implements Route {
  readonly gate: VisitorGate | undefined
  readonly #source: StreamSource
  readonly #now: () => number
  /** Youngest last: it is the least likely to be closed by the local server, and the old ones are left to expire. */
  readonly #idle: LocalLease[] = []
  /** Ended by us, waiting for the local server to end as well. */
  readonly #leaving = new Set<LocalLease>()

  #retired = false

  /** `now` is monotonic, in milliseconds. */
  constructor(source: StreamSource, now: () => number, gate?: VisitorGate) {
    this.gate = gate
    this.#source = source
    this.#now = now
  }

  lease(freshness: Freshness): Lease {
    const kept = freshness === 'fresh' ? undefined : this.#youngest(freshness === 'young' ? FRESH_ENOUGH_MS : Infinity)
    return kept ?? this.#open()
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

  get roundTripMs(): number | undefined {
    return this.#source.roundTripMs
  }

  get idleStreams(): number {
    return this.#idle.length
  }

  #youngest(maxAgeMs: number): LocalLease | undefined {
    const now = this.#now()
    const lease = this.#idle.at(-1)
    if (lease === undefined || lease.idleUntil <= now || now - lease.idleSince > maxAgeMs) return undefined
    return this.#idle.pop()
  }

  #open(): LocalLease {
    try {
      return this.#wrap(this.#source.openStream())
    } catch (error) {
      const oldest = this.#idle.shift()
      if (oldest === undefined || !(error instanceof TunnelFault) || error.code !== 'streams-exhausted') throw error
      oldest.stream.reset()
      return this.#wrap(this.#source.openStream())
    }
  }

  #wrap(stream: RawStream): LocalLease {
    return new LocalLease(stream, {
      keep: (lease, idleMs) => this.#keep(lease, idleMs),
      leave: (lease) => this.#leaving.add(lease),
      gone: (lease) => this.#forget(lease),
      failure: (streamId) => this.#source.takeFailure(streamId),
    })
  }

  #keep(lease: LocalLease, idleMs: number): void {
    if (this.#retired) return lease.leave()
    const now = this.#now()
    lease.idleSince = now
    lease.idleUntil = now + Math.min(idleMs, IDLE_STREAM_MS)
    this.#idle.push(lease)
    if (this.#idle.length > IDLE_STREAMS_PER_TUNNEL) this.#idle.shift()!.stream.reset()
  }

  #forget(lease: LocalLease): void {
    if (this.#leaving.delete(lease)) return
    const at = this.#idle.indexOf(lease)
    if (at >= 0) this.#idle.splice(at, 1)
  }

  #drop(lease: LocalLease): void {
    this.#leaving.delete(lease)
    lease.stream.reset()
  }
}

interface LeaseHome {
  keep(lease: LocalLease, idleMs: number): void
  leave(lease: LocalLease): void
  gone(lease: LocalLease): void
  failure(streamId: number): { fault: TunnelFault; unsent: boolean } | undefined
}

/** A mux stream and, while it is idle, its listener: whatever the local server does with an idle connection ends it. */
class LocalLease implements Lease, StreamListener {
  readonly stream: RawStream
  reused = false
  idleSince = 0
  idleUntil = 0
  readonly #home: LeaseHome

  constructor(stream: RawStream, home: LeaseHome) {
    this.stream = stream
    this.#home = home
  }

  keep(idleMs: number): void {
    this.reused = true
    this.stream.listen(this)
    this.#home.keep(this, idleMs)
  }

  leave(): void {
    this.stream.listen(this)
    this.#home.leave(this)
    this.stream.end()
  }

  failure(): { fault: TunnelFault; unsent: boolean } | undefined {
    return this.#home.failure(this.stream.id)
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
