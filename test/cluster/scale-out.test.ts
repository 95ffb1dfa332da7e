/** A task is added to two that are full: it gets its share of their agents, a few at a time, and no visitor notices. */
import { REBALANCE_ABOVE, REBALANCE_LEAST, REBALANCE_MS, REBALANCE_UNTIL } from '@postern/protocol/limits'
import { afterAll, expect, test, vi } from 'vitest'
import { chance as chanceOf, inParallel } from '../hostile/experiment.ts'
import { type ClusterRun, startRun, waitFor } from './cluster-run.ts'
import { startPlainAgent } from './fleet/plain-agent.ts'
import { judge } from './history/judge.ts'
import { outcomesOf, startLoad } from './load/visitor-load.ts'
import { startWitnessOrigin } from './load/witness-origin.ts'

const TASKS = 2
/** 10 s between two looks become 1.2 s; for the agents too, which are of this process. */
const TIME_SCALE = vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.12'
  return 0.12
})
/** Each with a channel on each task, so that the two are equally full, and what leaves one of them has nowhere to go but the third. */
const AGENTS = 40
const CHANNELS = AGENTS * TASKS
const MEAN = CHANNELS / (TASKS + 1)
const STARTING_AT_ONCE = 12
/** As many as one developer has. */
const USERS = 8
const PER_SECOND = 40
/** Rounds without a move, after which there will be none. */
const CALM_ROUNDS = 3
/** Twelve rounds, and what a busy machine makes of them. */
const BALANCED_MS = 60_000
/** An agent that has looked TASK_DRAWS times in vain for the new task takes any: one move in forty. */
const ASTRAY = 2

let run: ClusterRun | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  for (const step of undo.reverse()) await step()
  await run?.stop()
})

test('a task that is added gets its share of the agents by and by, until none has much more than the mean, and no request fails', async () => {
  const chance = chanceOf(20)
  run = await startRun({ tasks: TASKS, timeScale: TIME_SCALE, chance })
  const { cluster, history } = run
  const { system, service, balancer } = cluster
  const origin = await startWitnessOrigin({ delivered: (event) => history.add(event) })
  undo.push(() => origin.stop())

  /** On which task each channel is, as its agent heard last, and when each was opened. */
  const taskOf = new Map<string, string>()
  const openedAt: number[] = []
  const waits: string[] = []
  const on = (task: string): number => [...taskOf.values()].filter((at) => at === task).length
  const names = Array.from({ length: AGENTS }, (_, index) => `scaled-${index}`)
  await inParallel(AGENTS, STARTING_AT_ONCE, async (index) => {
    const name = names[index]!
    const agent = startPlainAgent({
      name,
      server: cluster.server,
      token: (await system.token(`user-${index % USERS}`)).reveal(),
      connections: TASKS,
      place: () => ({
        port: origin.port,
        opened({ slot, task }) {
          taskOf.set(`${name}/${slot}`, task)
          openedAt.push(performance.now())
        },
      }),
      lost: ({ code }) => waits.push(`${name}: ${code}`),
    })
    undo.push(() => agent.stop())
    await waitFor(`${name} has its channels`, () => taskOf.has(`${name}/${TASKS - 1}`))
  })
  const old = service.tasks.map(({ id }) => id)
  const begin = Math.max(MEAN * REBALANCE_ABOVE, MEAN + REBALANCE_LEAST)
  for (const task of old) expect(on(task), `channels of ${task} before`).toBeGreaterThan(begin)

  const load = startLoad({
    port: balancer.ports.public,
    tunnels: names.map((name) => ({ name, host: `${name}.${system.base}` })),
    perSecond: PER_SECOND,
    clients: 10,
    random: () => chance.next(),
    history,
    entryOf: (clientPort) => balancer.entryOf(clientPort),
    posts: 0.2,
    slow: 0.2,
    slowMs: 500,
  })
  openedAt.length = 0
  await service.start(1)
  const added = service.tasks.at(-1)!.id
  const isCalm = (): boolean => performance.now() - (openedAt.at(-1) ?? Infinity) > CALM_ROUNDS * REBALANCE_MS
  await waitFor('channels have moved, and none for some rounds', isCalm, BALANCED_MS)
  await load.stop()

  const counts = [...old, added].map(on)
  expect(counts.reduce((sum, count) => sum + count)).toBe(CHANNELS)
  for (const count of counts.slice(0, TASKS)) expect(count).toBeLessThanOrEqual(MEAN * REBALANCE_UNTIL + ASTRAY)
  expect(counts.at(-1)).toBeGreaterThan(MEAN - REBALANCE_LEAST)
  const rows = await system.stores.tasks.list()
  expect(Object.fromEntries(rows.map(({ taskId, tunnels }) => [taskId, tunnels]))).toEqual(
    Object.fromEntries([...old, added].map((task) => [task, on(task)])),
  )
  // One channel of each full task in a round: whatever is slow can only make it slower.
  const rounds = Math.ceil(openedAt.length / TASKS)
  expect(openedAt.at(-1)! - openedAt[0]!).toBeGreaterThan((rounds / 2) * REBALANCE_MS)

  const asked = history.of('asked')
  expect(outcomesOf(asked)).toEqual({ ok: asked.length })
  expect(judge(history.events).filter(({ rule }) => rule === 'a POST is delivered once')).toEqual([])
  expect(waits).toEqual([])
  expect(new Set(asked.map(({ entry }) => entry))).toEqual(new Set([...old, added]))
  process.stdout.write(
    `scale-out: ${CHANNELS} channels on 2 tasks, after the third ${counts.join(', ')}; ${openedAt.length} moves; ${load.tally.failed} failed of ${asked.length} requests\n`,
  )
}, 120_000)
