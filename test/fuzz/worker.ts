/** One shard of `npm run fuzz`, as a process of its own: told what to run by its parent, answers with a tally. */

import type { FuzzKind } from './fuzz-case.ts'
import { runCases, running } from './run-cases.ts'

export interface Order {
  readonly kinds: readonly FuzzKind[]
  readonly seed: number
  readonly shard: number
  readonly shards: number
  /** Of each kind, whichever comes first. */
  readonly cases: Readonly<Record<FuzzKind, number>>
  readonly seconds: number
}

// Whatever throws where nobody waits for it would end a node, and is a finding like no other.
process.on('uncaughtException', (error) => {
  console.error(`--case ${running.case}: uncaught`, error)
  process.exit(1)
})

process.once('message', async (order: Order) => {
  for (const kind of order.kinds) {
    const end = Date.now() + order.seconds * 1000
    const tally = await runCases({ ...order, kind, goesOn: (done) => done < order.cases[kind] && Date.now() < end })
    await new Promise<void>((resolve) => process.send!({ kind, tally }, () => resolve()))
  }
  process.disconnect()
})
