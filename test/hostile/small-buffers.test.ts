/** Slow readers where a connection's buffers are 64 KiB, as on a real path: most of a response waits in the node. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { inSmallBuffers } from '../support/small-buffers.ts'
import { TestProcess } from '../support/test-process.ts'
import { tell } from './experiment.ts'
import { type RoundOptions, type RoundResult, WHOLE } from './slow-round.ts'

const BUFFER_BYTES = 64 * 1024
/** Within a first window: the node has all of it at once. */
const BYTES = 255_000
const TIME_SCALE = size(0.1, 1)
/** As long as three connections linger, or at 20 kB a second. */
const PACE = { sipBytes: 2000, sipMs: size(5, 100) }
const ROUNDS: readonly RoundOptions[] = [false, true].map((stops) => ({ bytes: BYTES, pace: PACE, stops }))

const prefix = inSmallBuffers(BUFFER_BYTES)

test('row 23: slow readers on buffers of 64 KiB get every byte in all nine forms, also while their node stops', async (context) => {
  if (prefix === undefined)
    context.skip('no network namespace can be made here: it takes Linux, and root or user namespaces')
  const began = performance.now()
  const child = new TestProcess({
    name: 'slow readers',
    args: [
      '--import',
      import.meta.resolve('tsx'),
      fileURLToPath(new URL('./small-buffers-main.ts', import.meta.url)),
      JSON.stringify(ROUNDS),
    ],
    env: { ...process.env, POSTERN_TIME_SCALE: String(TIME_SCALE) },
    prefix,
  })
  const { code } = await child.exited
  expect({ code, stderr: child.stderr }).toEqual({ code: 0, stderr: '' })
  const results = child.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RoundResult)
  expect(results.map(({ outcomes }) => outcomes)).toEqual([WHOLE, WHOLE])
  const held = results.map((result) => result.held)
  tell(
    23,
    `9 forms of ${BYTES} bytes on buffers of ${BUFFER_BYTES / 1024} KiB, while their nodes go on and while they stop: each whole; ${held.join(' and ')} bytes waited in the nodes; time × ${TIME_SCALE}`,
    began,
  )
  // The experiment itself must have bitten.
  for (const bytes of held) expect(bytes).toBeGreaterThan(4 * BUFFER_BYTES)
}, 300_000)
