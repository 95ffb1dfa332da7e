/** What a run has to say at its end: facts, and the seconds of its parts. Knows nothing of either. */

export class Report {
  readonly #facts: string[] = []
  readonly #seconds: string[] = []

  fact(title: string, value: string): void {
    this.#facts.push(`${title.padEnd(TITLE_WIDTH)}${value}`)
  }

  seconds(title: string, seconds: number): void {
    this.#seconds.push(`${seconds.toFixed(1).padStart(8)} s  ${title}`)
  }

  /** Runs `part` and keeps how long it took, also if it fails. */
  async timed<T>(title: string, part: () => Promise<T>): Promise<T> {
    const started = performance.now()
    try {
      return await part()
    } finally {
      this.seconds(title, (performance.now() - started) / 1000)
    }
  }

  text(): string {
    return ['', ...this.#facts, '', ...this.#seconds, ''].join('\n')
  }
}

const TITLE_WIDTH = 30
