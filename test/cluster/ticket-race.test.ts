/** Fault 4 of docs/reliability.md, over several tasks: one ticket opened by many at once, and openings that are said again. */
import { parseServer } from '@postern/protocol/client'
import { toFault } from '@postern/protocol/fault'
import { Secret } from '@postern/protocol/ticket'
import { afterAll, expect, test } from 'vitest'
import { ControlClient } from '../../agent/src/control-client.ts'
import { dialAgent } from '../hostile/dial-agent.ts'
import { chance as chanceOf, inParallel, tell } from '../hostile/experiment.ts'
import { overhear, replay } from '../hostile/overheard-opening.ts'
import { size } from '../support/full-size.ts'
import { type ClusterRun, startRun } from './cluster-run.ts'

const TASKS = 3
const ROUNDS = size(10, 100)
const RACERS = 200
/** Of each round, half before the ticket is spent and half after. */
const REPLAYS = size(100, 1000)
/** Replays under way at once: well below the ceiling of openings from one address, which would answer in their place. */
const WIDTH = 32

let run: ClusterRun | undefined
afterAll(() => run?.stop())

test('row 4: of 200 openings with one ticket over three tasks one wins, and replays on any of them burn nothing', async () => {
  const began = performance.now()
  run = await startRun({ tasks: TASKS, timeScale: 1, chance: chanceOf(4) })
  const { cluster } = run
  const { channel } = cluster.balancer.ports
  const token = (await cluster.system.token('tester')).reveal()
  const control = new ControlClient({ server: parseServer(cluster.server), token: new Secret(token), version: '0.0.0' })
  const linesOn = (message: string): number[] =>
    cluster.service.tasks.map(({ process }) => process.stderr.split(`"msg":"${message}"`).length - 1)
  const openedOn = (): number[] => linesOn('tunnel open')
  const opened = (): number => openedOn().reduce((sum, count) => sum + count, 0)
  const faults = new Map<string, number>()
  let stillGood = 0
  for (let round = 1; round <= ROUNDS; round += 1) {
    // An account has a hundred names at most; each race wants one that is free.
    const subdomain = `race-${round % 50}`
    const ticket = await control.ticket({ username: 'tester', subdomain }, new AbortController().signal)
    const overheard = await overhear(ticket, channel)
    await inParallel(REPLAYS / 2, WIDTH, async () => {
      if ((await replay(overheard, channel)).accepted) stillGood += 1
    })
    expect(opened(), `tunnels before the race of round ${round}`).toBe(round - 1)

    const race = await Promise.allSettled(Array.from({ length: RACERS }, () => dialAgent(ticket, 1)))
    const winners = race.filter((racer) => racer.status === 'fulfilled').map((racer) => racer.value)
    for (const racer of race) {
      if (racer.status === 'fulfilled') continue
      const { code } = toFault(racer.reason)
      faults.set(code, (faults.get(code) ?? 0) + 1)
    }
    expect(winners.length, `winners of round ${round}`).toBe(1)
    await inParallel(REPLAYS / 2, WIDTH, async () => {
      expect((await replay(overheard, channel)).accepted, 'a spent ticket is not even let as far as TLS').toBe(false)
    })
    await Promise.all(winners.map((winner) => winner.leave(0)))
    expect(opened(), `tunnels after round ${round}`).toBe(round)
  }
  const { 'ticket-refused': refused = 0, 'server-busy': unknown = 0, ...others } = Object.fromEntries(faults)
  tell(
    4,
    `over ${TASKS} tasks: ${ROUNDS} rounds of ${RACERS} openings, ${opened()} winners (${openedOn().join(', ')} by task; losers: ${refused} ` +
      `ticket-refused, ${unknown} server-busy), ${ROUNDS * REPLAYS} replays (${stillGood} of them with the ticket still good): 0 opened, 0 tickets burnt`,
    began,
  )
  expect(others, 'what else the losers were told').toEqual({})
  expect(unknown / (refused + unknown), 'losers whose outcome stayed unknown').toBeLessThan(0.01)
  // Not a winner each: of ten rounds a task has none one time in twenty, by chance alone.
  expect(Math.min(...linesOn('opening refused')), 'openings that each task refused').toBeGreaterThan(RACERS)
}, 1_800_000)
