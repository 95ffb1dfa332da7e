/** The route to a tunnel whose channel is in this process: its rules, and the streams of its channel. Knows nothing of HTTP. */
import type { Tunnel } from '../channel/tunnel.ts'
import type { Asker, Freshness, Lease, Route } from './route.ts'
import { StreamPool } from './stream-pool.ts'
import type { VisitorGate } from './visitor-gate.ts'

/** What the route needs of an agent's channel. */
export type AgentStreams = Pick<Tunnel, 'openStream' | 'takeFailure'>

export class LocalRoute implements Route {
  readonly gate: VisitorGate | undefined
  readonly #pool: StreamPool
  readonly #whenRetired = new Set<() => void>()
  #retired = false

  /** `now` is monotonic, in milliseconds. */
  constructor(source: AgentStreams, now: () => number, gate?: VisitorGate) {
    this.gate = gate
    this.#pool = new StreamPool(source, now)
  }

  lease(freshness: Freshness, asker: Asker): Lease {
    return this.#pool.lease(freshness, asker)
  }

  /** As those of the pool. */
  sweep(): void {
    this.#pool.sweep()
  }

  retire(): void {
    this.#pool.retire()
    this.#retired = true
    for (const tell of this.#whenRetired) tell()
    this.#whenRetired.clear()
  }

  /** Tells once, when no further request takes this route; at once if it is so. Returns the removal. */
  whenRetired(tell: () => void): () => void {
    if (this.#retired) tell()
    else this.#whenRetired.add(tell)
    return () => this.#whenRetired.delete(tell)
  }

  get idleStreams(): number {
    return this.#pool.idleStreams
  }
}
