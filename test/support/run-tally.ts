/** What all workers of one run have counted: each adds entries, and the last project to end says what they came to. */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface RunTallyOptions<Entry> {
  /** Of docs/reliability.md. */
  readonly row: number
  /** The variable of the environment by which workers find the file. */
  readonly variable: string
  tell(entries: readonly Entry[]): string
}

export class RunTally<Entry extends object> {
  readonly #options: RunTallyOptions<Entry>

  constructor(options: RunTallyOptions<Entry>) {
    this.#options = options
  }

  /** Outside of a run that tells nothing is counted. */
  add(entry: Entry): void {
    const file = process.env[this.#options.variable]
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(entry)}\n`)
  }

  /** Of vitest, for each project that counts. Answers what ends it. */
  readonly setUp = (): (() => void) => {
    const { row, variable, tell } = this.#options
    process.env[variable] ??= join(tmpdir(), `postern-row-${row}-${process.pid}.jsonl`)
    const file = process.env[variable]
    const began = performance.now()
    return () => {
      if (!existsSync(file)) return
      const lines = readFileSync(file, 'utf8').trim().split('\n')
      rmSync(file)
      const counts = tell(lines.map((line) => JSON.parse(line)))
      process.stdout.write(`row ${row}: ${counts}\n`)
      const seconds = Math.round((performance.now() - began) / 100) / 10
      const countsFile = process.env.POSTERN_COUNTS
      if (countsFile !== undefined)
        appendFileSync(countsFile, `${JSON.stringify({ row, counts, seconds, seed: '–' })}\n`)
    }
  }
}
