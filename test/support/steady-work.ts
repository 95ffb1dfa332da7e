/** The same thing done over and over, several at once, while a test does another; and what came of it each time. Knows nothing of what it is. */

export class SteadyWork {
  /** How often each outcome came. */
  readonly outcomes = new Map<string, number>()
  /** How often each worker has begun. */
  readonly #begun: number[]
  readonly #workers: Promise<void>[]
  readonly #waiting = new Set<() => void>()
  #stopping = false
  #failure: Error | undefined

  /** @param work answers what came of it; a rejection ends everything, and is told by `again` and `stop` */
  constructor(width: number, work: (worker: number) => Promise<string>) {
    this.#begun = Array.from({ length: width }, () => 0)
    this.#workers = this.#begun.map((_, worker) => this.#repeat(worker, work))
  }

  get count(): number {
    return [...this.outcomes.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Resolves when each worker has done it `times` more from beginning to end: by then nothing is under way that was before. */
  async again(times = 1): Promise<void> {
    // The one that is under way has begun already, so it does not count.
    const wanted = this.#begun.map((begun) => begun + times + 1)
    while (!this.#failure && this.#begun.some((begun, worker) => begun < wanted[worker]!)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
    if (this.#failure) throw this.#failure
  }

  /** Lets each worker end what it is at. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#workers)
    if (this.#failure) throw this.#failure
  }

  async #repeat(worker: number, work: (worker: number) => Promise<string>): Promise<void> {
    while (!this.#stopping && !this.#failure) {
      this.#begun[worker]! += 1
      this.#wake()
      try {
        const outcome = await work(worker)
        this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error))
      }
    }
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
