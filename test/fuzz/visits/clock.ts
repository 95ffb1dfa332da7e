/** Time as a case lets it pass, with what is due then. */
export class CaseClock {
  #now = 1_000_000
  #timers: { readonly at: number; readonly run: () => void }[] = []
  /** How much has passed since the case began. */
  passed = 0

  readonly now = (): number => this.#now

  /** Runs once after so many milliseconds. Returns the removal. */
  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.#now + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer)
    }
  }

  get timers(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    this.#now += ms
    this.passed += ms
    const due = this.#timers.filter(({ at }) => at <= this.#now)
    for (const timer of due) {
      if (!this.#timers.includes(timer)) continue
      this.#timers = this.#timers.filter((each) => each !== timer)
      timer.run()
    }
  }
}
