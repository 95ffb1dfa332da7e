/** One coarse clock for many deadlines, so that a request costs no timer of its own. */

/** Something with a time limit that moves. */
export interface Expirable {
  /** Monotonic milliseconds after which `expire` is called; Infinity while there is no limit. */
  readonly deadline: number
  expire(): void
}

export class Sweeper {
  readonly #items = new Set<Expirable>()
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  readonly #periodMs: number
  readonly #crashed: (error: unknown) => void
  /** When it looked last. Reading the clock for every chunk of every visitor would cost more than the deadlines are worth. */
  #looked: number

  /** Looks every `periodMs`: an expiry comes up to two periods late, and never early. `crashed` gets what an expiry throws. */
  constructor(now: () => number, periodMs: number, crashed: (error: unknown) => void) {
    this.#now = now
    this.#crashed = crashed
    this.#periodMs = periodMs
    this.#looked = now()
    this.#timer = setInterval(() => this.sweep(), periodMs)
    this.#timer.unref()
  }

  /** Watches `item` until the returned removal is called; removing twice is harmless. */
  add(item: Expirable): () => void {
    this.#items.add(item)
    return () => {
      this.#items.delete(item)
    }
  }

  /** The deadline of something that may take `ms` milliseconds from now. */
  deadlineIn(ms: number): number {
    return this.#looked + this.#periodMs + ms
  }

  sweep(): void {
    const now = this.#now()
    this.#looked = now
    for (const item of this.#items) if (item.deadline <= now) this.#expire(item)
  }

  /** What one item throws does not keep the others from their deadlines. */
  #expire(item: Expirable): void {
    try {
      item.expire()
    } catch (error) {
      this.#items.delete(item)
      this.#crashed(error)
    }
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#items.clear()
  }
}
