/** Fault 8 of docs/reliability.md: one of three tasks is killed. */
import { afterAll, expect, test } from 'vitest'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { size } from '../support/full-size.ts'
import { type ClusterRun, mayBeLost, quantile, startRun } from './cluster-run.ts'
import { type Fleet, machineNow, startFleet } from './fleet/fleet.ts'
import { judge } from './history/judge.ts'
import { outcomesOf, startLoad } from './load/visitor-load.ts'
import { startWitnessOrigin } from './load/witness-origin.ts'

const TASKS = 3
const TUNNELS = size(100, 1000)
/** At the full size the agents that come back need the two cores of the machine, on which control plane, table, balancer and visitors are too: 100 took more than half of one. */
const PER_SECOND = size(100, 30)
/** Before a task's process begins Fargate makes it a network interface and draws the image; 15 s are assumed. A process that began at once would do it on these two cores, in the middle of the return. */
const LAUNCH_MS = 15_000
const CLIENTS = 20
/** As many as one developer has. */
const TUNNELS_PER_USER = 5
const CALM_MS = 3000
/** At the small size the machine is one that others use too. */
const MEDIAN_MS = size(6000, 3000)
const ALL_MS = 30_000
const NEW_CONNECTIONS_MS = 15_000

let run: ClusterRun | undefined
let fleet: Fleet | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  await fleet?.stop()
  for (const step of undo.reverse()) await step()
  await run?.stop()
})

test('row 8: of three tasks one is killed; its tunnels are back within seconds, and whoever entered by another task noticed nothing', async () => {
  const began = performance.now()
  const chance = chanceOf(8)
  // Times are measured: nothing is shortened.
  run = await startRun({ tasks: TASKS, timeScale: 1, launchMs: LAUNCH_MS, chance })
  const { cluster, history } = run
  const { system, service, balancer } = cluster
  const origin = await startWitnessOrigin({ delivered: (event) => history.add(event) })
  undo.push(() => origin.stop())
  const names = Array.from({ length: TUNNELS }, (_, index) => `killed-${index}`)
  const tokens = await Promise.all(
    names.map(async (_, index) => (await system.token(`user-${Math.floor(index / TUNNELS_PER_USER)}`)).reveal()),
  )
  fleet = await startFleet({ names, tokens, server: cluster.server, originPort: origin.port }, { processes: 2 })
  const load = startLoad({
    port: balancer.ports.public,
    tunnels: names.map((name) => ({ name, host: `${name}.${system.base}` })),
    perSecond: PER_SECOND,
    clients: CLIENTS,
    random: () => chance.next(),
    history,
    entryOf: (clientPort) => balancer.entryOf(clientPort),
    posts: 0.2,
    slow: 0.1,
    slowMs: 300,
  })
  await new Promise((resolve) => setTimeout(resolve, CALM_MS))

  const victim = service.tasks[chance.below(service.tasks.length)]!
  const lost = new Set([...fleet.tasks].filter(([, task]) => task === victim.id).map(([name]) => name))
  const [killedAt, killedOnMachine] = [performance.now(), machineNow()]
  const replaced = service.kill(victim)
  const backAfter = new Map<string, number>()
  let read = fleet.events.length
  await fleet.until(() => {
    for (; read < fleet!.events.length; read += 1) {
      const event = fleet!.events[read]!
      if (event.kind === 'online' && lost.has(event.name) && !backAfter.has(event.name))
        backAfter.set(event.name, event.at - killedOnMachine)
    }
    return backAfter.size === lost.size
  }, 2 * ALL_MS)
  await replaced
  await new Promise((resolve) => setTimeout(resolve, CALM_MS))
  await load.stop()

  const asked = history.of('asked')
  const ofVictim = asked.filter(({ entry }) => entry === victim.id)
  const others = asked.filter(({ entry }) => entry !== victim.id)
  const failedOthers = others.filter(({ outcome }) => outcome !== 'ok')
  const inFlight = failedOthers.filter((request) => lost.has(request.name) && mayBeLost(request, killedAt))
  const failed = failedOthers.filter((request) => !inFlight.includes(request))
  const lastOfVictim = Math.max(
    0,
    ...ofVictim.filter(({ outcome }) => outcome !== 'ok').map(({ begun }) => begun - killedAt),
  )
  const times = [...backAfter.values()]
  tell(
    8,
    `1 of ${TASKS} tasks killed with ${lost.size} of ${TUNNELS} tunnels on it, back after p50 ${Math.round(quantile(times, 0.5))} ms, ` +
      `p99 ${Math.round(quantile(times, 0.99))} ms, all ${Math.round(quantile(times, 1))} ms; ${failed.length} failed of ${others.length} requests that ` +
      `entered by another task (beside ${inFlight.length} POSTs in flight on its channels); of ${ofVictim.length} that entered by it ` +
      `${ofVictim.filter(({ outcome }) => outcome !== 'ok').length} failed, the last one begun ${Math.round(lastOfVictim)} ms after the kill`,
    began,
  )
  expect(lost.size).toBeGreaterThan(0)
  expect(outcomesOf(failed)).toEqual({})
  expect(quantile(times, 0.5)).toBeLessThanOrEqual(MEDIAN_MS)
  expect(quantile(times, 1)).toBeLessThanOrEqual(ALL_MS)
  expect(lastOfVictim).toBeLessThanOrEqual(NEW_CONNECTIONS_MS)
  expect(judge(history.events)).toEqual([])
}, 600_000)
