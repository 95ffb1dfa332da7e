/** Random visits through the request path of a node, by all three ways in, against a model of what may come of them. */
import { expect, it } from 'vitest'
import { runCases } from '../fuzz/run-cases.ts'
import { size } from '../support/full-size.ts'

const VISITS = size(2000, 100_000, 5000)

/** The same cases each time, so that this test fails for a change of ours alone; new ones are `npm run fuzz`'s to find. */
const seed = Number(process.env.POSTERN_FUZZ_SEED ?? 1)

it(`of ${VISITS} cases each comes to what the model allows, and leaves nothing behind (POSTERN_FUZZ_SEED=${seed})`, {
  timeout: 600_000,
}, async () => {
  const tally = await runCases({ kind: 'visits', seed, shard: 0, shards: 1, goesOn: (done) => done < VISITS })
  expect(tally.findings.slice(0, 5), `seed ${seed}`).toEqual([])
  // Cases in which nothing is answered, sent again, cut or refused would prove nothing.
  const often = ['http1', 'http2', 'peer', 'whole', 'refused', 'cut', 'abandoned', 'reused', 'retries'] as const
  for (const what of often) expect(tally.listed[what], what).toBeGreaterThan(VISITS / 50)
})
