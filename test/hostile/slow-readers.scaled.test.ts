/** Slow readers get every byte, whatever the form of their response, also while their node stops. A tenth of production's times. */
import { LINGER_MS } from '@postern/protocol/limits'
import { expect, test, vi } from 'vitest'
import { slowRound, WHOLE } from './slow-round.ts'

vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.1'
})

const MiB = 1024 * 1024
/** More than the system takes for a reader that has read nothing, mostly. */
const BYTES = 6 * MiB
/** The whole of it takes longer than a connection lingers. */
const PACE = { sipBytes: MiB, sipMs: LINGER_MS / 4 }

test.each([
  ['goes on', false],
  ['stops', true],
] as const)('row 23: of a node that %s slow readers get every byte in all nine forms', async (_what, stops) => {
  expect((await slowRound({ bytes: BYTES, pace: PACE, stops })).outcomes).toEqual(WHOLE)
})
