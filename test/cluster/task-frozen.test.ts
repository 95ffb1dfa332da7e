/** Fault 9 of docs/reliability.md: a task is stopped (SIGSTOP) beyond its lease, its names move, and it goes on. */
import { setTimeout as delay } from 'node:timers/promises'
import { TASKS_POLL_MS } from '@postern/protocol/limits'
import { afterAll, expect, test, vi } from 'vitest'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { size } from '../support/full-size.ts'
import { type ClusterRun, startRun, waitFor } from './cluster-run.ts'
import { judge } from './history/judge.ts'
import { outcomesOf, startLoad } from './load/visitor-load.ts'

const TASKS = 3
/** A lease of 15 s is one of 3 s, an agent's patience of 25 s one of 5 s; for the agents too, which are of this process. */
const TIME_SCALE = vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.2'
  return 0.2
})
const NAMES = 9
const EVENTS = size(1000, 10_000)
const PER_SECOND = size(40, 100)
/** Beyond the lease and the agents' patience: they come back by themselves. */
const LONG_MS = 40_000 * TIME_SCALE
/** Beyond the lease, not beyond the agents' patience: the frozen task still has its channels when it goes on, but others have the names. */
const SHORT_MS = 20_000 * TIME_SCALE
const TAKEN_AFTER_MS = 16_000 * TIME_SCALE
/**
 * Tasks read every two seconds who has taken what from them (decision 0011), as takers also do from agents that have just come back to a task that is
 * awake. What the frozen task does when it goes on comes later than this: it sleeps on for longer after the last name was taken.
 */
const HEARD_WITHIN_MS = TASKS_POLL_MS + 200
const CALM_MS = 2000

let run: ClusterRun | undefined
afterAll(() => run?.stop())

test('row 9: a task that slept beyond its lease serves not one request of a name that moved, and epochs only rise', async () => {
  const began = performance.now()
  const chance = chanceOf(9)
  run = await startRun({ tasks: TASKS, timeScale: TIME_SCALE, chance })
  const { cluster, history, witness, tunnel } = run
  const { service, balancer } = cluster
  const names = Array.from({ length: NAMES }, (_, index) => `frozen-${index}`)
  const holders = new Map(await Promise.all(names.map(async (name) => [name, await witness(name)] as const)))
  const load = startLoad({
    port: balancer.ports.public,
    tunnels: names.map(tunnel),
    perSecond: PER_SECOND,
    clients: 20,
    random: () => chance.next(),
    history,
    entryOf: (clientPort) => balancer.entryOf(clientPort),
    posts: 0.2,
    // Whoever waits for a frozen task gives up before it goes on, or after.
    patienceMs: 6000,
  })
  let [rounds, moved, taken, thawedRequests] = [0, 0, 0, 0]
  const events = (): number => history.events.filter(({ kind }) => kind !== 'noted').length
  while (rounds < 2 || events() < EVENTS) {
    await delay(CALM_MS)
    const holding = service.tasks.filter(({ id }) => names.some((name) => holders.get(name)!.owner?.task === id))
    const frozen = holding[chance.below(holding.length)]!
    const on = names.filter((name) => holders.get(name)!.owner?.task === frozen.id)
    const claimsBefore = history.of('claimed').length
    service.freeze(frozen)
    if (rounds % 2 === 0) {
      await delay(LONG_MS)
    } else {
      await delay(TAKEN_AFTER_MS)
      // Somebody else with the right to the name starts an agent, as a person would whose tunnel hangs.
      const takers = on.map(async (name, index) => holders.set(name, await witness(name, `${name}-${rounds}-${index}`)))
      await Promise.all(takers)
      taken += on.length
      await delay(SHORT_MS - TAKEN_AFTER_MS)
    }
    service.thaw(frozen)
    const thawedAt = performance.now()
    await waitFor('every name of the frozen task has moved', () => {
      const since = history.of('claimed').slice(claimsBefore)
      return on.every((name) => since.some((claim) => claim.name === name))
    })
    await waitFor(`${frozen.id} is healthy again`, () => frozen.registration.state === 'healthy')
    await delay(CALM_MS)
    moved += on.length
    rounds += 1
    thawedRequests += history.of('asked').filter(({ entry, begun }) => entry === frozen.id && begun > thawedAt).length
  }
  await load.stop()
  const violations = judge(history.events, { heardWithinMs: HEARD_WITHIN_MS })
  const asked = history.of('asked')
  tell(
    9,
    `${rounds} times a task of ${TASKS} stopped for ${LONG_MS / 1000} s or ${SHORT_MS / 1000} s (a lease is ${15 * TIME_SCALE} s), ${moved} names moved, ` +
      `${taken} of them to another agent; ${events()} events (${history.of('claimed').length} claims, ${asked.length} requests, ` +
      `${thawedRequests} by a task that had slept): ${violations.length} violations; outcomes ${JSON.stringify(outcomesOf(asked))}; time × ${TIME_SCALE}`,
    began,
  )
  expect(violations).toEqual([])
  expect(moved).toBeGreaterThan(0)
  expect(thawedRequests).toBeGreaterThan(0)
  expect(asked.filter(({ outcome, owner }) => outcome === 'ok' && !owner)).toEqual([])
}, 900_000)
