/** The command line of the benchmark as a value. Knows nothing of what is measured. */
import { parseArgs } from 'node:util'
import type { Effort } from './scenarios.ts'

export interface BenchOptions {
  readonly rounds: number
  readonly effort: Effort
  /** Of each scenario on each system before the rounds. */
  readonly warmUp: Effort
  /** Processes of the Lambda. */
  readonly coldStarts: number
  /** Ids of the scenarios; undefined for all. */
  readonly only: readonly string[] | undefined
  /** A commit whose build is measured beside this one. */
  readonly against: string | undefined
  /** Whether docs/benchmarks.md takes the result. A quick or partial run is for looking, not for the record. */
  readonly record: boolean
}

/** wrk counts in whole seconds; 500 MB are a second of CPU, of which a tick is a hundredth. */
const WHOLE: Effort = { seconds: 4, megabytes: 500 }
const QUICK: Effort = { seconds: 2, megabytes: 100 }
const WARM_UP: Effort = { seconds: 2, megabytes: 100 }
const SCENARIOS = ['small', 'latency', 'download', 'upload', 'cold-start']
const COLD_STARTS = 15

export const USAGE = `npm run bench -- [options]

  --quick             2 short rounds, printed only
  --rounds <n>        rounds of everything, interleaved (5)
  --only <a,b>        of: ${SCENARIOS.join(', ')}; printed only
  --against <commit>  build that commit in a temporary worktree and measure it beside this one; printed only
  --help

A whole run is also written to docs/benchmarks.md. wrk and nginx are used where they are installed.`

/** Undefined: print USAGE. @throws TypeError (of `parseArgs`) or RangeError for what it does not know */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      against: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { quick, against } = values
  const rounds = Number(values.rounds ?? (quick ? 2 : 5))
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds} is not a number above 0`)
  const only = values.only?.split(',')
  for (const id of only ?? []) if (!SCENARIOS.includes(id)) throw new RangeError(`--only ${id} is no scenario`)
  const record = !quick && only === undefined && against === undefined
  return { rounds, effort: quick ? QUICK : WHOLE, warmUp: WARM_UP, coldStarts: COLD_STARTS, only, against, record }
}
