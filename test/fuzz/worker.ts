/** One shard of `npm run fuzz`, as a process of its own: told what to run by its parent, answers with a tally. */

import type { FuzzKind } from './fuzz-case.ts'
import { runCases } from './run-cases.ts'

export interface Order {
  readonly kinds: readonly FuzzKind[]
  readonly seed: number
  readonly shard: number
  readonly shards: number
  /** Of each kind, whichever comes first. */
  readonly cases: number
  readonly seconds: number
}

process.once('message', async (order: Order) => {
  for (const kind of order.kinds) {
    const end = Date.now() + order.seconds * 1000
    const tally = await runCases({ ...order, kind, goesOn: (done) => done < order.cases && Date.now() < end })
    await new Promise<void>((resolve) => process.send!({ kind, tally }, () => resolve()))
  }
  process.disconnect()
})
