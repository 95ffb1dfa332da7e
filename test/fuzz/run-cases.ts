/** Runs numbered cases of one kind one after another, and counts. */

import { CaseRemains } from './case-remains.ts'
import { caseSeed } from './case-seed.ts'
import { type FuzzCase, type FuzzKind, makeCase } from './fuzz-case.ts'
import { MemoryWatch } from './memory-watch.ts'
import { RequestDifferential } from './request-differential.ts'
import { ResponseDifferential } from './response-differential.ts'
import { addFinding, count, emptyTally, type Finding, type Tally, type Verdict } from './verdict.ts'
import { runVisit } from './visits/visit-case.ts'

/** Node's streams are taken down on later ticks: this often they get one. */
const CASES_PER_TURN = 64
/** This often it is looked at what they have left. A whole collection of garbage takes as long as some hundred cases. */
const CASES_PER_LOOK = 128 * CASES_PER_TURN

export class HttpDifferential {
  readonly #requests = new RequestDifferential()
  readonly #responses = new ResponseDifferential()

  close(): void {
    this.#requests.close()
  }

  judge(fuzzCase: FuzzCase): Verdict | Promise<Verdict> {
    const bytes = Buffer.from(fuzzCase.message, 'latin1')
    if (fuzzCase.kind === 'requests') return this.#requests.judge(bytes)
    return this.#responses.judge(bytes, fuzzCase.method, fuzzCase.upgrade)
  }
}

/** Which case this process is at. */
export const running = { case: '' }

/** The verdict on visits, and what a finding is shown with. */
async function judgeVisit(seed: number): Promise<{ verdict: Verdict; message: string }> {
  const { findings, counts, plan } = await runVisit(seed)
  if (findings.length === 0) return { verdict: { kind: 'as-modelled', counts }, message: '' }
  return { verdict: { kind: 'finding', what: findings.join('; ') }, message: `${plan.inbound}, benign: ${plan.benign}` }
}

export interface Run {
  readonly kind: FuzzKind
  readonly seed: number
  /** This shard takes the cases `shard`, `shard + shards`, … */
  readonly shard: number
  readonly shards: number
  /** Asked now and then with the number of cases done. */
  readonly goesOn: (cases: number) => boolean
}

export async function runCases({ kind, seed, shard, shards, goesOn }: Run): Promise<Tally> {
  const differential = new HttpDifferential()
  const remains = new CaseRemains()
  const tally = emptyTally()
  const memory = new MemoryWatch()
  const traceLimit = Error.stackTraceLimit
  // Half of all cases are refusals, and nobody reads where they were thrown.
  Error.stackTraceLimit = 0
  try {
    for (let index = shard; ; index += shards) {
      if (tally.cases % CASES_PER_TURN === 0) {
        await new Promise((resolve) => setImmediate(resolve))
        memory.look(tally.cases)
        const over = !goesOn(tally.cases)
        if (tally.cases > 0 && (over || tally.cases % CASES_PER_LOOK === 0)) {
          const left = await remains.left()
          if (left.length > 0) addFinding(tally, leftBehind(left, tally.cases, caseSeed(seed, index)))
        }
        if (over) return { ...tally, memory: memory.mebibytes }
      }
      const one = caseSeed(seed, index)
      running.case = `${kind}:${one}`
      if (kind === 'visits') {
        const { verdict, message } = await judgeVisit(one)
        count(tally, verdict, one, message)
        continue
      }
      const fuzzCase = makeCase(kind, one)
      count(tally, await differential.judge(fuzzCase), one, fuzzCase.message)
    }
  } finally {
    Error.stackTraceLimit = traceLimit
    differential.close()
  }
}

/** Some case before the one of this seed. */
const leftBehind = (left: readonly string[], cases: number, seed: number): Finding => ({
  seed,
  what: `left behind by the ${cases} cases before: ${left.join(', ')}`,
  message: '',
})
