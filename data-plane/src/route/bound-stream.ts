/** The stream that one visitor's connection has for itself, between two of its requests. */
import type { StreamListener } from '@postern/protocol/mux'
import type { Lease, Route } from './route.ts'
import type { RouteUser } from './route-users.ts'

export interface BoundStreamOptions {
  readonly route: Route
  /** Of the requests that it is for, as their heads have it. */
  readonly host: string
  readonly addressKey: string
  /** The stream must be one that can be bound. */
  readonly lease: Lease
  /** Monotonic milliseconds. */
  now(): number
}

export class BoundStream implements StreamListener, RouteUser {
  readonly route: Route
  readonly host: string
  readonly addressKey: string
  place = -1
  readonly #now: () => number
  readonly #since: number
  /** The visitor's connection has had it since then, with requests in between. */
  readonly #openedAt: number
  readonly #leaveRoute: () => void
  #lease: Lease | undefined

  constructor({ route, host, addressKey, lease, now }: BoundStreamOptions) {
    this.route = route
    this.host = host
    this.addressKey = addressKey
    this.#now = now
    this.#since = now()
    this.#openedAt = lease.openedAt ?? this.#since
    this.#lease = lease
    lease.stream.listen(this)
    lease.bind?.()
    route.users?.add(this)
    let leave = (): void => {}
    this.#leaveRoute = () => {
      leave()
      route.users?.delete(this)
    }
    // An agent that leaves need not wait for it.
    leave = route.whenRetired?.(() => this.release()) ?? leave
  }

  /** Whether the stream is still there. */
  get present(): boolean {
    return this.#lease !== undefined
  }

  /** The stream for the next request by that route; undefined if it is gone, or leads elsewhere. Then it has ended. */
  take(route: Route): Lease | undefined {
    const lease = this.#lease
    if (lease === undefined || route !== this.route) return void this.release()
    this.#lease = undefined
    this.#leaveRoute()
    lease.wake?.()
    return lease
  }

  /** The stream ends. Harmless when repeated. */
  release(): void {
    const lease = this.#lease
    if (lease === undefined) return
    this.#lease = undefined
    this.#leaveRoute()
    lease.reset()
  }

  // ── as one of those that have a stream ────────────────────────────────────────────────────────────────────────────

  get streamAge(): number {
    return this.#now() - this.#openedAt
  }

  get slowFor(): number {
    return this.idleFor
  }

  get idleFor(): number {
    return this.#now() - this.#since
  }

  /** The visitor's connection stays: its next request takes another stream. */
  evict(): void {
    this.release()
  }

  terminate(): void {
    this.release()
  }

  // ── what comes by the stream ──────────────────────────────────────────────────────────────────────────────────────

  /** A response that nobody asked for. */
  data(): void {
    this.release()
  }

  end(): void {
    this.release()
  }

  reset(): void {
    this.release()
  }

  writable(): void {}
}
