/** The route to a tunnel of this process, whatever its local server speaks, and its end. Knows nothing of streams. */

import type { Route } from './route.ts'
import type { RouteUsers } from './route-users.ts'
import type { StreamQueue } from './stream-queue.ts'

export interface TunnelRoute extends Route {
  readonly queue: StreamQueue
  readonly users: RouteUsers
  /** Streams of the tunnel that wait for another request. */
  readonly idleStreams: number
  /** Lets go what has been idle for too long, and asks those that wait again. Called about once a second. */
  sweep(): void
  /** No further requests come. */
  retire(): void
  whenRetired(tell: () => void): () => void
}

/** Whether a route is retired, and who wants to hear of it. */
export class Retirement {
  readonly #told = new Set<() => void>()
  #begun = false

  begin(): void {
    this.#begun = true
    for (const tell of this.#told) tell()
    this.#told.clear()
  }

  /** As `Route.whenRetired`. */
  whenBegun(tell: () => void): () => void {
    if (this.#begun) tell()
    else this.#told.add(tell)
    return () => this.#told.delete(tell)
  }
}
