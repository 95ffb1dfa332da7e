/** Fault 13 of docs/reliability.md: every agent is cut at once. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { size } from '../support/full-size.ts'
import { type ClusterRun, quantile, startRun } from './cluster-run.ts'
import { type Fleet, machineNow, startFleet } from './fleet/fleet.ts'
import { startWitnessOrigin } from './load/witness-origin.ts'

const TASKS = 3
const AGENTS = size(200, 5000)
const BACK_MS = size(60_000, 120_000)
/** The stage of the control plane lets no more through, as API Gateway's throttle; whoever is told 429 comes again. */
const TICKETS_PER_SECOND = 200
/** What it lets through at once, beside them. */
const BURST = 20
/** As many as one developer has. */
const TUNNELS_PER_USER = 5
const BIN_MS = size(250, 5000)

let run: ClusterRun | undefined
let fleet: Fleet | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  await fleet?.stop()
  for (const step of undo.reverse()) await step()
  await run?.stop()
})

test('row 13: agents that are cut at once are all back in time, spread, and the control plane issues no more tickets than it may', async () => {
  const began = performance.now()
  run = await startRun({ tasks: TASKS, timeScale: 1, chance: chanceOf(13) })
  const { cluster } = run
  const { system, balancer } = cluster
  const origin = await startWitnessOrigin()
  undo.push(() => origin.stop())
  const names = Array.from({ length: AGENTS }, (_, index) => `cut-${index}`)
  const tokens = await Promise.all(
    names.map(async (_, index) => (await system.token(`user-${Math.floor(index / TUNNELS_PER_USER)}`)).reveal()),
  )
  fleet = await startFleet({ names, tokens, server: cluster.server, originPort: origin.port }, { processes: 2 })
  await delay(1000)
  system.control.throttle(TICKETS_PER_SECOND)
  const callsBefore = system.control.calls.length
  const cutAt = machineNow()
  let read = fleet.events.length
  const cut = balancer.cut('channel')
  expect(cut).toBe(AGENTS)
  const backAfter = new Map<string, number>()
  await fleet.until(() => {
    for (; read < fleet!.events.length; read += 1) {
      const event = fleet!.events[read]!
      if (event.kind === 'online') backAfter.set(event.name, event.at - cutAt)
    }
    return backAfter.size === AGENTS
  }, 2 * BACK_MS)

  const times = [...backAfter.values()]
  const tickets = system.control.calls
    .slice(callsBefore)
    .filter(({ method, path }) => method === 'POST' && path === '/v1/tickets')
  const issued = tickets.filter(({ status }) => status === 200).map(({ at }) => at)
  const told = tickets.filter(({ status }) => status === 429).length
  const histogram = histogramOf(times, BIN_MS)
  tell(
    13,
    `${AGENTS} agents cut at once: back after p50 ${Math.round(quantile(times, 0.5))} ms, p99 ${Math.round(quantile(times, 0.99))} ms, all ` +
      `${Math.round(quantile(times, 1))} ms; by ${BIN_MS} ms: ${histogram.join(' ')}; at most ${mostWithin(issued, 1000)} tickets issued in any second, ` +
      `${told} calls were told 429`,
    began,
  )
  expect(Math.max(...times)).toBeLessThanOrEqual(BACK_MS)
  expect(histogram.filter((count) => count > 0).length, 'intervals in which agents came back').toBeGreaterThanOrEqual(3)
  expect(mostWithin(issued, 1000)).toBeLessThanOrEqual(TICKETS_PER_SECOND + BURST)
  expect(fleet.events.filter(({ kind }) => kind === 'over')).toEqual([])
}, 1_800_000)

/** How many fell into each interval, from 0 to the last one that has any. */
function histogramOf(times: readonly number[], binMs: number): number[] {
  const bins = Array.from({ length: Math.floor(Math.max(...times) / binMs) + 1 }, () => 0)
  for (const time of times) bins[Math.floor(time / binMs)]! += 1
  return bins
}

/** The most that fell into any interval of that length. */
function mostWithin(times: readonly number[], ms: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  let [most, from] = [0, 0]
  for (const [to, time] of sorted.entries()) {
    while (sorted[from]! <= time - ms) from += 1
    most = Math.max(most, to - from + 1)
  }
  return most
}
