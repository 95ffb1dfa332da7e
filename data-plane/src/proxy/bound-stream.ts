/** The stream that one visitor's connection has for itself, between two of its requests. */
import type { StreamListener } from '@postern/protocol/mux'
import type { Lease, Route } from '../route/route.ts'

export class BoundStream implements StreamListener {
  readonly route: Route
  /** When it was last in use; monotonic milliseconds. */
  readonly idleSince: number
  #lease: Lease | undefined

  constructor(route: Route, lease: Lease, now: number) {
    this.route = route
    this.idleSince = now
    this.#lease = lease
    lease.stream.listen(this)
  }

  /** The stream for the next request by that route; undefined if it is gone, or leads elsewhere. */
  take(route: Route): Lease | undefined {
    const lease = route === this.route ? this.#lease : undefined
    if (lease !== undefined) this.#lease = undefined
    return lease
  }

  get present(): boolean {
    return this.#lease !== undefined
  }

  /** The stream ends. Harmless when repeated. */
  release(): void {
    this.#lease?.reset()
    this.#lease = undefined
  }

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
