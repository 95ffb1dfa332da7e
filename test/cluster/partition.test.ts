/** Fault 12 of docs/reliability.md: tasks that cannot reach one another, and a task that is killed while it serves another one's requests. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { FaultProxy } from '../support/fault-proxy/fault-proxy.ts'
import { Partition } from '../support/fault-proxy/partition.ts'
import { size } from '../support/full-size.ts'
import { type ClusterRun, mayBeLost, quantile, startRun, waitFor } from './cluster-run.ts'
import type { WitnessAgent } from './fleet/witness-agent.ts'
import type { Asked } from './history/history.ts'
import { judge } from './history/judge.ts'
import { outcomesOf, startLoad } from './load/visitor-load.ts'

const TASKS = 3
const NAMES = 9
const REQUESTS = size(1000, 10_000)
const PER_SECOND = size(50, 100)
const PARTED_MS = 6000
/** Until everybody has noticed that the others are there again. */
const HEALED_MS = 4000
const ANSWERED_MS = 2000
/** What a busy machine adds. */
const SLACK_MS = 300

let run: ClusterRun | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  await run?.stop()
  for (const step of undo.reverse()) await step()
})

test('row 12: parted tasks serve what is theirs and answer the rest at once, and nothing is delivered twice when one is killed', async () => {
  const began = performance.now()
  const chance = chanceOf(12)
  const partition = new Partition()
  const peerPorts = new Map<string, number>()
  run = await startRun({
    tasks: TASKS,
    timeScale: 1,
    chance,
    // Each task is reached by the others through a path that can be parted.
    async taskEnv(taskId) {
      const faults = { toServer: [partition.fault], toClient: [partition.fault] }
      const path = await FaultProxy.start(() => peerPorts.get(taskId) ?? 0, faults)
      undo.push(() => path.stop())
      return { POSTERN_PEER_ADDRESS: `127.0.0.1:${path.port}` }
    },
    listening: (taskId, ports) => peerPorts.set(taskId, ports.peer?.port ?? 0),
  })
  const { cluster, history, witness, tunnel } = run
  const { service, balancer } = cluster
  const names = Array.from({ length: NAMES }, (_, index) => `parted-${index}`)
  const agents = new Map<string, WitnessAgent>()
  for (const name of names) agents.set(name, await witness(name))
  const load = startLoad({
    port: balancer.ports.public,
    tunnels: names.map(tunnel),
    perSecond: PER_SECOND,
    clients: 20,
    random: () => chance.next(),
    history,
    entryOf: (clientPort) => balancer.entryOf(clientPort),
    posts: 0.4,
    slow: 0.3,
    slowMs: 1000,
  })
  const asked = (): Asked[] => history.of('asked')
  const served = { own: 0, asked: 0, others: 0 }
  const refusedAfter: number[] = []
  const wrong: string[] = []
  let [partitions, kills, inFlight] = [0, 0, 0]

  const part = async (): Promise<void> => {
    const ownerOf = new Map([...agents].map(([name, agent]) => [name, agent.owner!.task]))
    // The balancer may still send to one that was killed, until its health checks have failed.
    const standing = new Set(service.tasks.map(({ id }) => id))
    partition.begin()
    const from = performance.now()
    await delay(PARTED_MS)
    const to = performance.now()
    partition.end()
    await delay(HEALED_MS)
    partitions += 1
    for (const { id, name, method, entry, begun, ended, outcome } of asked()) {
      if (begun < from || entry === undefined || !standing.has(entry)) continue
      const took = ended - begun
      const isOwn = entry === ownerOf.get(name)
      if (begun > to + HEALED_MS / 2) {
        if (outcome !== 'ok') wrong.push(`${id}, after the partition: ${outcome}`)
      } else if (isOwn) {
        served.asked += 1
        if (outcome === 'ok') served.own += 1
        else wrong.push(`${id}, at its own task: ${outcome}`)
      } else if (begun < to - ANSWERED_MS - SLACK_MS) {
        served.others += 1
        refusedAfter.push(took)
        if (!outcome.startsWith('503'))
          wrong.push(
            `${method} ${id} at ${entry}, parted from ${ownerOf.get(name)}: ${outcome} after ${Math.round(took)} ms`,
          )
      }
    }
  }
  const kill = async (): Promise<void> => {
    const taskOf = (name: string): string | undefined => agents.get(name)!.owner?.task
    // One that has channels: with none, nothing can be in flight on them.
    const holders = service.tasks.filter(({ id }) => names.some((name) => taskOf(name) === id))
    const victim = holders[chance.below(holders.length)]!
    const on = names.filter((name) => taskOf(name) === victim.id)
    const claims = history.of('claimed').length
    const killedAt = performance.now()
    await service.kill(victim)
    await waitFor('the names of the dead task are back', () => {
      const since = history.of('claimed').slice(claims)
      return on.every((name) => since.some((claim) => claim.name === name))
    })
    await delay(HEALED_MS)
    kills += 1
    const broken = asked().filter(({ begun, ended, name }) => on.includes(name) && begun < killedAt && ended > killedAt)
    inFlight += broken.length
    for (const request of asked()) {
      const { id, name, method, entry, begun, outcome } = request
      if (outcome === 'ok' || begun < killedAt - 2000 || entry === victim.id || entry === undefined) continue
      if (!(on.includes(name) && mayBeLost(request, killedAt)))
        wrong.push(
          `${method} ${id} at ${entry}, ${Math.round(begun - killedAt)} ms from the kill of ${victim.id}: ${outcome}`,
        )
    }
  }
  await delay(2000)
  do {
    await part()
    await kill()
  } while (asked().length < REQUESTS)
  await load.stop()

  const all = asked()
  const violations = judge(history.events)
  const posts = all.filter(({ method }) => method === 'POST').length
  tell(
    12,
    `${all.length} requests (${posts} POSTs); ${partitions} partitions of ${PARTED_MS / 1000} s: ${served.own} of ${served.asked} served by their own task, ` +
      `${served.others} at another one answered 503 after ${Math.round(quantile(refusedAfter, 0.5))} ms (median), ${Math.round(quantile(refusedAfter, 1))} ms (most); ` +
      `${kills} tasks killed with ${inFlight} requests in flight on their channels; ${wrong.length} wrong, ${violations.length} violations ` +
      `(no POST was delivered twice); outcomes ${JSON.stringify(outcomesOf(all))}`,
    began,
  )
  expect(wrong.slice(0, 20)).toEqual([])
  expect(violations).toEqual([])
  expect(served.own).toBeGreaterThan(0)
  expect(served.others).toBeGreaterThan(0)
  expect(Math.max(...refusedAfter)).toBeLessThanOrEqual(ANSWERED_MS + SLACK_MS)
  expect(inFlight).toBeGreaterThan(0)
}, 900_000)
