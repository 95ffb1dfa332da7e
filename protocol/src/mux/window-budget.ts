/** What all grown receive windows of a process may promise together beyond their initial size. Knows nothing of streams. */

/** Growth smaller than this is not worth a promise. */
const SMALLEST_GRANT_BYTES = 64 * 1024

export class WindowBudget {
  readonly bytes: number
  #free: number

  /** `bytes`: WINDOW_BUDGET_BYTES or a quarter of the memory limit, whichever is less. 0 keeps every window at its initial size. */
  constructor(bytes: number) {
    this.bytes = bytes
    this.#free = bytes
  }

  /** Bytes that nobody has been promised. */
  get free(): number {
    return this.#free
  }

  /** Takes up to `wanted` bytes, never more than half of what is left, so that a late stream finds some too. Returns what was taken, perhaps 0. */
  take(wanted: number): number {
    const granted = Math.min(wanted, Math.floor(this.#free / 2))
    if (granted < SMALLEST_GRANT_BYTES) return 0
    this.#free -= granted
    return granted
  }

  /** Returns bytes that `take` handed out. */
  giveBack(bytes: number): void {
    this.#free += bytes
  }
}
