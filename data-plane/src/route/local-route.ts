/** The route to a tunnel whose channel is in this process: its rules, and the streams of its channel. */
import type { NoticeKind } from '@postern/protocol/channel'
import type { Tunnel } from '../channel/tunnel.ts'
import type { QueuePlaces } from './queue-places.ts'
import type { Asker, Freshness, Lease } from './route.ts'
import { RouteUsers } from './route-users.ts'
import { StreamPool } from './stream-pool.ts'
import { StreamQueue } from './stream-queue.ts'
import { Retirement, type TunnelRoute } from './tunnel-route.ts'
import type { VisitorGate } from './visitor-gate.ts'

/** What the route needs of an agent's channel. */
export type AgentStreams = Pick<Tunnel, 'openStream' | 'takeFailure'> &
  Partial<Pick<Tunnel, 'roundTripMs' | 'whenStreamGone' | 'besides' | 'firstByteMs' | 'notify' | 'tenant'>>

export class LocalRoute implements TunnelRoute {
  readonly gate: VisitorGate | undefined
  readonly queue: StreamQueue
  readonly users = new RouteUsers()
  readonly #source: AgentStreams
  readonly #pool: StreamPool
  readonly #retirement = new Retirement()

  /** `now` is monotonic, in milliseconds. */
  constructor(source: AgentStreams, now: () => number, gate?: VisitorGate, places?: QueuePlaces) {
    this.gate = gate
    this.queue = new StreamQueue(places, source.tenant)
    this.#source = source
    this.#pool = new StreamPool(source, now, this.queue)
    source.whenStreamGone?.(() => this.queue.freed())
  }

  lease(freshness: Freshness, asker: Asker, again = false): Lease {
    return this.#pool.lease(freshness, asker, again)
  }

  sweep(): void {
    this.#pool.sweep()
    this.queue.sweep()
  }

  retire(): void {
    this.#pool.retire()
    this.#retirement.begin()
  }

  whenRetired(tell: () => void): () => void {
    return this.#retirement.whenBegun(tell)
  }

  get firstByteMs(): number | undefined {
    return this.#source.firstByteMs
  }

  notify(about: NoticeKind, detail: string): void {
    this.#source.notify?.(about, detail)
  }

  get roundTripMs(): number | undefined {
    return this.#source.roundTripMs
  }

  get idleStreams(): number {
    return this.#pool.idleStreams
  }
}
