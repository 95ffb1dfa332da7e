/** Fault 5 of docs/reliability.md: visitors who send and read as slowly as they can, in a tunnel that has others. */
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { memoryOf } from '../support/peak-memory.ts'
import { tell } from './experiment.ts'
import { ENDLESS_PATH, type Pace, startGoodTunnel } from './good-tunnel.ts'
import { hasSlowHttpTest, MODES, type Mode, type SlowTally, visitSlowly } from './slow-visitors.ts'
import { BASE, lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

const CONNECTIONS = size(500, 5000)
/** More than a tunnel's 256 streams, and not all within the moment in which nobody counts as slow. */
const PER_SECOND = 200
const SECONDS = size(6, 40)
/** A head has its time of 10 s within the experiment's. */
const TIME_SCALE = size(0.25, 1)
/** Whoever is served within this is served. */
const LONGEST_MS = 3000
const QUIET_MS = 1000
const GROWTH_MIB = 256

let task: TaskProcess
beforeAll(async () => {
  if (process.env.POSTERN_FULL === '1' && !hasSlowHttpTest)
    throw new Error('At its full size this experiment needs slowhttptest (Debian: apt-get install slowhttptest).')
  task = await startTaskProcess({ POSTERN_TIME_SCALE: String(TIME_SCALE) })
}, 30_000)
afterAll(() => task.stop())

const faults = (code: string): number => task.log.filter((line) => line.includes(`"fault":"${code}"`)).length

test('row 5: slow headers, slow bodies and slow reading hold no visitor of the same tunnel up', async () => {
  const began = performance.now()
  const host = `good.${BASE}`
  const ticket = await task.desk.issue('good', task.channelPort)
  const good = await startGoodTunnel({ ticket, publicPort: task.publicPort, host, visitorAddress: '127.0.0.2' })
  await setTimeout(QUIET_MS)
  await good.pace()
  const memory = memoryOf(task.pid).now
  await setTimeout(QUIET_MS)
  const before = await good.pace()

  const tallies: Partial<Record<Mode, SlowTally>> = {}
  for (const mode of MODES) {
    const visit = { port: task.publicPort, host, longPath: ENDLESS_PATH, perSecond: PER_SECOND, seconds: SECONDS }
    tallies[mode] = await visitSlowly({ ...visit, mode, connections: CONNECTIONS })
  }
  const during: Pace = await good.pace()
  await setTimeout(QUIET_MS)
  const after = await good.pace()
  await good.stop()
  const grown = memoryOf(task.pid).now - memory

  const ratio = during.perSecond / ((before.perSecond + after.perSecond) / 2)
  const attack = Object.entries(tallies).map(
    ([mode, { made, standing, ended }]) => `${mode} ${made} (${standing} at once, ${ended} ended by us)`,
  )
  tell(
    5,
    `slow connections by ${hasSlowHttpTest ? 'slowhttptest' : 'hand'}: ${attack.join(', ')}; ` +
      `${faults('body-timeout')} gave way, ${faults('streams-exhausted')} found no stream; good visitors of the same tunnel: ` +
      `${during.answered} answers, ${during.failed} failed, ${(100 * ratio).toFixed(0)} % of its rate, longest ${during.longest} ms ` +
      `(${after.longest} ms without); memory +${grown.toFixed(0)} MiB`,
    began,
  )
  expect(task.alive).toBe(true)
  expect(lastWords(task.log)).toEqual([])
  expect([before.failed, during.failed, after.failed]).toEqual([0, 0, 0])
  expect(during.longest).toBeLessThan(LONGEST_MS)
  expect(grown).toBeLessThan(GROWTH_MIB)
  // The experiment itself must have bitten: heads ran out of time, and the tunnel had no stream left.
  for (const mode of MODES) expect(tallies[mode]!.made, mode).toBeGreaterThanOrEqual(0.9 * CONNECTIONS)
  expect(tallies.headers!.ended).toBeGreaterThan(0)
  expect(faults('body-timeout')).toBeGreaterThan(0)
}, 1_800_000)
