/** Fault 7 of docs/reliability.md: every task is replaced under load. */
import { afterAll, expect, test } from 'vitest'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { size } from '../support/full-size.ts'
import { type ClusterRun, quantile, startRun, waitFor } from './cluster-run.ts'
import { judge } from './history/judge.ts'
import { listenToEvents, missing } from './load/event-listener.ts'
import { startEventSource } from './load/event-source.ts'
import { keepSocket } from './load/socket-client.ts'
import { outcomesOf, startLoad } from './load/visitor-load.ts'
import { startWitnessOrigin } from './load/witness-origin.ts'
import { writeRecording } from './recording.ts'

const TASKS = 3
/** 110 s of draining become 22 s; at full size nothing is shortened. */
const TIME_SCALE = size(0.2, 1)
const TUNNELS = 6
const PER_SECOND = size(100, 300)
const CLIENTS = 20
/** Before the first task is replaced and after the last one. */
const CALM_MS = size(3000, 60_000)
const SLOW_MS = size(1000, 5000)
const WEBSOCKETS = 6
const LISTENERS = 6
const BACK_MS = 5000

let run: ClusterRun | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  for (const step of undo.reverse()) await step()
  await run?.stop()
})

test('row 7: every task is replaced under load, and no request fails', async () => {
  const began = performance.now()
  const chance = chanceOf(7)
  run = await startRun({ tasks: TASKS, timeScale: TIME_SCALE, chance })
  const { cluster, history } = run
  const events = startEventSource(100)
  const origin = await startWitnessOrigin({ events, delivered: (event) => history.add(event) })
  undo.push(
    () => origin.stop(),
    () => events.stop(),
  )
  const names = Array.from({ length: TUNNELS }, (_, index) => `rolling-${index}`)
  const agents = await Promise.all(names.map((subdomain) => cluster.startAgent({ subdomain, target: origin.port })))
  const tunnels = names.map((name, index) => ({ name, host: agents[index]!.host }))
  const { public: port } = cluster.balancer.ports

  const sockets = Array.from({ length: WEBSOCKETS }, (_, index) => {
    const { name, host } = tunnels[index % TUNNELS]!
    return keepSocket(port, host, (code, clientPort) =>
      history.note(cluster.balancer.entryOf(clientPort) ?? '', `closes a WebSocket of ${name}: ${code}`),
    )
  })
  const listeners = Array.from({ length: LISTENERS }, (_, index) =>
    listenToEvents(port, tunnels[index % TUNNELS]!.host),
  )
  for (const one of [...sockets, ...listeners]) undo.push(() => one.stop())
  await waitFor(
    'WebSockets are open and events come',
    () => sockets.every((socket) => socket.echoed > 0) && listeners.every(({ tally }) => tally.ids.length > 0),
  )
  const load = startLoad({
    port,
    tunnels,
    perSecond: PER_SECOND,
    clients: CLIENTS,
    random: () => chance.next(),
    history,
    entryOf: (clientPort) => cluster.balancer.entryOf(clientPort),
    posts: 0.2,
    slow: 0.05,
    slowMs: SLOW_MS,
  })
  const recording = writeRecording(history, load.tally)
  await new Promise((resolve) => setTimeout(resolve, CALM_MS))
  const exits = await cluster.service.replaceAll()
  await new Promise((resolve) => setTimeout(resolve, CALM_MS))
  await load.stop()
  await waitFor('every WebSocket is open again', () => sockets.every((socket) => socket.open))
  recording.end(size(0, 1) === 1)

  const asked = history.of('asked')
  const posts = asked.filter(({ method }) => method === 'POST').length
  const entries = new Set(asked.map(({ entry }) => entry))
  const codes = sockets.flatMap(({ ends }) => ends.map(({ code }) => code))
  const back = sockets.flatMap(({ ends }) => ends.map(({ backAfterMs = Number.POSITIVE_INFINITY }) => backAfterMs))
  const missed = listeners.flatMap(({ tally }) => missing(tally.ids))
  const resumed = listeners.reduce((sum, { tally }) => sum + tally.resumed, 0)
  const took = asked.map((request) => request.ended - request.begun)
  tell(
    7,
    `${TASKS} tasks replaced under ${PER_SECOND} requests a second on ${TUNNELS} tunnels: ${load.tally.failed} failed of ${asked.length} ` +
      `(${posts} POSTs, each delivered once; p99 ${Math.round(quantile(took, 0.99))} ms, the longest ${Math.round(quantile(took, 1))} ms); ` +
      `${WEBSOCKETS} WebSockets closed ${codes.length} times by ${[...new Set(codes)].join(', ') || 'nobody'}, back after ` +
      `${Math.round(Math.max(0, ...back))} ms at most; ${LISTENERS} event streams resumed ${resumed} times, ${missed.length} events missing; ` +
      `time × ${TIME_SCALE}`,
    began,
  )
  expect(outcomesOf(asked)).toEqual({ ok: asked.length })
  expect(exits).toEqual(Array.from({ length: TASKS }, () => ({ code: 0, signal: null })))
  expect(entries.size, 'tasks that requests entered by').toBe(2 * TASKS)
  expect(judge(history.events).filter(({ rule }) => rule === 'a POST is delivered once')).toEqual([])
  expect(codes.length).toBeGreaterThan(0)
  expect(new Set(codes)).toEqual(new Set([1012]))
  expect(Math.max(...back)).toBeLessThanOrEqual(BACK_MS)
  expect(resumed).toBeGreaterThan(0)
  expect(missed).toEqual([])
  expect(listeners.flatMap(({ tally }) => tally.refused)).toEqual([])
  for (const agent of agents) expect(agent.process.running).toBe(true)
}, 1_200_000)
