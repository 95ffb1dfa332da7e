import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { converse } from '../support/converse.ts'
import { conversations } from '../support/random-conversations.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'

const RUNS = process.env.POSTERN_FULL === '1' ? 5000 : 150

let system: System
let origin: ScriptedOrigin
let host: string

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  host = (await system.startAgent({ subdomain: 'random', target: origin.port })).host
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

test(`${RUNS} random conversations, pipelined and cut anywhere, are the same through the tunnel as directly`, {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      conversations(() => host),
      async (talk) => {
        const direct = await converse(origin, origin.port, talk)
        expect(await converse(origin, system.publicPort, talk)).toEqual(direct)
      },
    ),
    { numRuns: RUNS },
  )
})
