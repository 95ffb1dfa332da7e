/** Measures what a process has in use while it runs cases, behind a collection of garbage each time. */
import type { Memory } from './verdict.ts'

/** Cases between two looks. */
const LOOK_EVERY = 20_000
const MEBIBYTE = 1024 * 1024

export class MemoryWatch {
  readonly #collect = (globalThis as { gc?: () => void }).gc
  readonly #seen: number[] = []

  /** Looks now and then, if this process may collect its garbage (`--expose-gc`). */
  look(cases: number): void {
    if (this.#collect === undefined || cases < (this.#seen.length + 1) * LOOK_EVERY) return
    this.#collect()
    const { heapUsed, external } = process.memoryUsage()
    this.#seen.push(Math.round(((heapUsed + external) / MEBIBYTE) * 10) / 10)
  }

  get mebibytes(): Memory[] {
    const [early] = this.#seen
    return early === undefined ? [] : [{ early, late: this.#seen.at(-1)!, most: Math.max(...this.#seen) }]
  }
}
