/** Our reading of HTTP/1.1 against node:http's, case by case: what we accept it accepts, with the same meaning. */
import { createServer } from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { CaseRemains } from '../fuzz/case-remains.ts'
import { asExpected, readCorpus } from '../fuzz/corpus.ts'
import type { FuzzKind } from '../fuzz/fuzz-case.ts'
import { HttpDifferential, runCases } from '../fuzz/run-cases.ts'
import { size } from '../support/full-size.ts'

const REQUESTS = size(30_000, 100_000, 100_000)
const RESPONSES = size(6000, 20_000, 20_000)

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

  it(`${REQUESTS} requests mean the same to node:http, or are refused for a reason on the list`, async () => {
    const tally = await run('requests', REQUESTS)
    expect(tally.findings.slice(0, 5), `seed ${seed}`).toEqual([])
    // A generator that makes nothing acceptable, or nothing wrong, would prove nothing.
    expect(tally.accepted).toBeGreaterThan(REQUESTS / 4)
    expect(tally.refused).toBeGreaterThan(REQUESTS / 4)
    expect(Object.keys(tally.listed).length).toBeGreaterThan(10)
  })

  it(`${RESPONSES} responses mean the same to node:http, or are refused for a reason on the list`, async () => {
    const tally = await run('responses', RESPONSES)
    expect(tally.findings.slice(0, 5), `seed ${seed}`).toEqual([])
    expect(tally.accepted).toBeGreaterThan(RESPONSES / 4)
    expect(tally.refused).toBeGreaterThan(RESPONSES / 4)
  })
})

describe('what cases leave behind is a finding', () => {
  it('where it is a resource of the process', async () => {
    const remains = new CaseRemains(200)
    expect(await remains.left()).toEqual([])
    const server = createServer().listen(0, '127.0.0.1')
    expect(await remains.left()).toEqual(['1 TCPServerWrap'])
    await new Promise((resolve) => server.close(resolve))
    expect(await remains.left()).toEqual([])
  })

  it.each([
    ['of a buffer', () => Buffer.alloc(24 * 1024 * 1024)],
    ['of objects', () => Array.from({ length: 500_000 }, (_, index) => ({ index }))],
  ])('where it is memory %s', async (_, make) => {
    const remains = new CaseRemains(200)
    expect(await remains.left()).toEqual([])
    const kept: { made: unknown } = { made: make() }
    expect(await remains.left()).toEqual([expect.stringMatching(/^\d+ MiB$/)])
    kept.made = undefined
    expect(await remains.left()).toEqual([])
  })
})
