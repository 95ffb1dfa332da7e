/** How many of something may happen: so many a second, and a burst. Knows nothing of what is counted. */
export class RateBucket {
  readonly #perMs: number
  readonly #burst: number
  readonly #now: () => number
  #left: number
  #at: number

  /** `now`: milliseconds of a monotonic clock. */
  constructor(perSecond: number, burst: number, now: () => number) {
    this.#perMs = perSecond / 1000
    this.#burst = burst
    this.#now = now
    this.#left = burst
    this.#at = now()
  }

  /** How many may happen now; not a whole number. */
  get left(): number {
    this.#refill()
    return this.#left
  }

  /** Counts one; false if there have been too many. */
  take(): boolean {
    this.#refill()
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }

  #refill(): void {
    const now = this.#now()
    this.#left = Math.min(this.#burst, this.#left + (now - this.#at) * this.#perMs)
    this.#at = now
  }
}
