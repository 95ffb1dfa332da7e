/** Our reading of HTTP/1.1 against node:http's, case by case: what we accept it accepts, with the same meaning. */
import { afterAll, describe, expect, it } from 'vitest'
import { asExpected, readCorpus } from '../fuzz/corpus.ts'
import type { FuzzKind } from '../fuzz/fuzz-case.ts'
import { HttpDifferential, runCases } from '../fuzz/run-cases.ts'

/** The same cases each time, so that this test fails for a change of ours alone; new ones are `npm run fuzz`'s to find. */
const seed = Number(process.env.POSTERN_FUZZ_SEED ?? 1)

describe('the cases that were findings once', () => {
  const differential = new HttpDifferential()
  afterAll(() => differential.close())

  it.each(readCorpus())('$name: $why', async (entry) => {
    const verdict = await differential.judge(entry.case)
    expect(verdict).toSatisfy((found: typeof verdict) => asExpected(entry, found), `refused by ${entry.rule ?? 'none'}`)
  })
})

describe(`new cases (POSTERN_FUZZ_SEED=${seed})`, () => {
  const run = (kind: FuzzKind, cases: number) =>
    runCases({ kind, seed, shard: 0, shards: 1, goesOn: (done) => done < cases })

  it('100,000 requests mean the same to node:http, or are refused for a reason on the list', async () => {
    const tally = await run('requests', 100_000)
    expect(tally.findings.slice(0, 5), `seed ${seed}`).toEqual([])
    // A generator that makes nothing acceptable, or nothing wrong, would prove nothing.
    expect(tally.accepted).toBeGreaterThan(25_000)
    expect(tally.refused).toBeGreaterThan(25_000)
    expect(Object.keys(tally.listed).length).toBeGreaterThan(10)
  })

  it('20,000 responses mean the same to node:http, or are refused for a reason on the list', async () => {
    const tally = await run('responses', 20_000)
    expect(tally.findings.slice(0, 5), `seed ${seed}`).toEqual([])
    expect(tally.accepted).toBeGreaterThan(5_000)
    expect(tally.refused).toBeGreaterThan(5_000)
  })
})
