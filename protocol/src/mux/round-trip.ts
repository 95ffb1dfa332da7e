/** The path's round trip, measured by pings. Knows nothing of frames or timers. */

/** A flow that is limited by its window decides about growth several times in one round trip; once a second is often enough to measure. */
const FRESH_MS = 1000

export class RoundTrip {
  /** The latest measurement in milliseconds. Not the least: what a window must cover is the path as it is now, its queues included. */
  latestMs: number | undefined
  #value = 0
  #sentAt: number | undefined
  #measuredAt = 0

  /** Starts a measurement and returns the ping's value. One that was under way counts no longer. */
  start(now: number): number {
    this.#sentAt = now
    this.#value = (this.#value + 1) >>> 0
    return this.#value
  }

  /** The measurement that a pong completes, in milliseconds; undefined for a pong nobody waits for. */
  answer(value: number, now: number): number | undefined {
    if (this.#sentAt === undefined || value !== this.#value) return undefined
    this.latestMs = Math.max(0, now - this.#sentAt)
    this.#sentAt = undefined
    this.#measuredAt = now
    return this.latestMs
  }

  /** Whether a decision that goes by the round trip should have it measured again. */
  isDue(now: number): boolean {
    return this.#sentAt === undefined && (this.latestMs === undefined || now - this.#measuredAt > FRESH_MS)
  }
}
