/** The route to a tunnel of this process, whatever its local server speaks, and its end. Knows nothing of streams. */
import type { Route } from './route.ts'

export interface TunnelRoute extends Route {
  /** Streams of the tunnel that wait for another request. */
  readonly idleStreams: number
  /** Lets go what has been idle for too long. Called about once a second. */
  sweep(): void
  /** No further requests come. */
  retire(): void
  /** Tells once, when no further request takes this route; at once if it is so. Returns the removal. */
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

  /** As `TunnelRoute.whenRetired`. */
  whenBegun(tell: () => void): () => void {
    if (this.#begun) tell()
    else this.#told.add(tell)
    return () => this.#told.delete(tell)
  }
}
