/** How many of something were up to each of a few bounds, since the process began. Knows nothing of what is measured, nor of who reads it. */

export class Histogram {
  /** Ascending. */
  readonly bounds: readonly number[]
  /** Of each bound those above the one before; last, those above all. */
  readonly counts: Float64Array
  sum = 0
  readonly #bounds: Float64Array

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.#bounds = Float64Array.from(bounds)
    this.counts = new Float64Array(bounds.length + 1)
  }

  /** A bound belongs to what is up to it. */
  add(value: number): void {
    const bounds = this.#bounds
    let at = 0
    while (at < bounds.length && value > bounds[at]!) at++
    this.counts[at]! += 1
    this.sum += value
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0)
  }
}
