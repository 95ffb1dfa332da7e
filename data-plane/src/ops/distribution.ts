/** How long things took, in memory that does not grow with their number. Knows nothing of what took long. */

/** Neighbouring buckets differ by so much: what comes out is at most 2.5 % off. */
const GROWTH = 1.05
const STEP = Math.log(GROWTH)
/** Up to about a minute; whatever is longer counts as that. */
const LONGEST_MS = 60_000
const BUCKETS = Math.ceil(Math.log(LONGEST_MS) / STEP) + 1

export class Distribution {
  /** By powers of GROWTH, from one millisecond on; less counts as that. */
  readonly #buckets = new Uint32Array(BUCKETS)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(ms: number): void {
    const at = Math.round(Math.log(Math.max(1, ms)) / STEP)
    this.#buckets[Math.min(at, BUCKETS - 1)]! += 1
    this.#count += 1
  }

  /**
   * All of them, ascending, if they are at most `most` (which is 2 or more); otherwise `most` of them at even ranks, from the shortest to the longest, so that
   * a percentile of these is one of all.
   */
  values(most: number): number[] {
    const wanted = Math.min(most, this.#count)
    const values: number[] = []
    let bucket = -1
    let passed = 0
    for (let i = 0; i < wanted; i += 1) {
      const rank = wanted === this.#count ? i : Math.round((i * (this.#count - 1)) / (wanted - 1))
      while (passed <= rank) passed += this.#buckets[++bucket]!
      values.push(Number((GROWTH ** bucket).toPrecision(3)))
    }
    return values
  }

  clear(): void {
    this.#buckets.fill(0)
    this.#count = 0
  }
}
