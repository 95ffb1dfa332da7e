/** A count over all workers of one run: each adds entries, and the last project to end prints their sum. */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface RunTallyOptions<Entry> {
  /** Of docs/reliability.md. */
  readonly row: number
  /** The environment variable that names the file. */
  readonly variable: string
  summarise(entries: readonly Entry[]): string
}

export class RunTally<Entry extends object> {
  readonly #options: RunTallyOptions<Entry>

  constructor(options: RunTallyOptions<Entry>) {
    this.#options = options
  }

  /** Does nothing outside of a run whose projects have called `setUp`. */
  add(entry: Entry): void {
    const file = process.env[this.#options.variable]
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(entry)}\n`)
  }

  /** A `globalSetup` of vitest, for each project that counts. */
  readonly setUp = (): (() => void) => {
    const { row, variable, summarise } = this.#options
    process.env[variable] ??= join(tmpdir(), `postern-row-${row}-${process.pid}.jsonl`)
    const file = process.env[variable]
    const began = performance.now()
    return () => {
      if (!existsSync(file)) return
      const lines = readFileSync(file, 'utf8').trim().split('\n')
      rmSync(file)
      const counts = summarise(lines.map((line) => JSON.parse(line)))
      process.stdout.write(`row ${row}: ${counts}\n`)
      const seconds = Math.round((performance.now() - began) / 100) / 10
      const countsFile = process.env.POSTERN_COUNTS
      if (countsFile !== undefined)
        appendFileSync(countsFile, `${JSON.stringify({ row, counts, seconds, seed: '–' })}\n`)
    }
  }
}
