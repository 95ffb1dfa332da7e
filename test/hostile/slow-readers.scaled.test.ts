/** Slow readers get every byte, whatever the form of their response, also while the node stops. A tenth of production's times. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { LINGER_MS } from '@postern/protocol/limits'
import { afterEach, expect, test, vi } from 'vitest'
import type { LiveChannel } from '../../agent/src/live-channel.ts'
import { dialAgent } from './dial-agent.ts'
import { startLargeOrigin } from './large-download.ts'
import { BASE, type MemoryTask, startMemoryTask, startMemoryTasks } from './memory-task.ts'
import { FORMS, visitSlowly } from './slow-visit.ts'

vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.1'
})

/** More than the system takes for a reader that has read nothing, so that the end waits in the node. */
const BYTES = 6 * 1024 * 1024
/** The whole of it takes longer than a connection lingers. */
const SIPS = { sipBytes: 1024 * 1024, sipMs: LINGER_MS / 4 }
/** More than one connection lingers, and the deadlines are looked at. */
const PAUSE_MS = 3 * LINGER_MS
/** For what is under way when the node is asked to stop. */
const GRACE_MS = 60_000

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Nodes {
  /** Without another node, so that it ends with its visitors when it is stopped. */
  readonly lone: MemoryTask
  readonly holder: MemoryTask
  readonly entry: MemoryTask
  /** The agents take no further requests, and go with those that they have. */
  leave(): void
}

async function start(): Promise<Nodes> {
  const origin: Server = await startLargeOrigin(BYTES)
  const { port } = origin.address() as AddressInfo
  const lone = await startMemoryTask()
  const [holder, entry] = (await startMemoryTasks(2)) as [MemoryTask, MemoryTask]
  const open = async ({ desk, plane }: MemoryTask, name: string, rules = {}): Promise<LiveChannel> =>
    dialAgent(await desk.issue(name, plane.ports.channel, name), port, rules)
  const channels = [
    await open(lone, 'open'),
    await open(holder, 'open'),
    await open(holder, 'judged', { allow: ['127.0.0.0/8'] }),
  ]
  const leave = (graceMs: number): void => {
    for (const channel of channels) void channel.leave(graceMs)
  }
  cleanups.push(
    () => origin.close(),
    () => origin.closeAllConnections(),
    () => leave(0),
    () => Promise.all([lone, entry, holder].map(({ plane }) => plane.stop(0))),
  )
  return { lone, holder, entry, leave: () => leave(GRACE_MS) }
}

interface Round {
  /** All forms at once, held back until told. */
  readonly outcomes: Promise<Record<string, string>>
  read(): void
}

function visitAll({ lone, entry }: Nodes): Round {
  let read = (): void => {}
  const from = new Promise<void>((resolve) => {
    read = resolve
  })
  const outcomes = Object.entries(FORMS).map(async ([name, form]) => {
    const { public: port } = (form.byPeer ? entry : lone).plane.ports
    return [
      name,
      await visitSlowly({ port, host: `${form.tunnel}.${BASE}`, form, pace: { from, ...SIPS }, bytes: BYTES }),
    ]
  })
  return { outcomes: Promise.all(outcomes).then(Object.fromEntries), read }
}

const WHOLE = Object.fromEntries(Object.keys(FORMS).map((name) => [name, 'whole']))

test.each(['goes on', 'stops'] as const)(
  'a node that %s gives slow readers every byte in all eight forms',
  async (what) => {
    const nodes = await start()
    const { outcomes, read } = visitAll(nodes)
    await setTimeout(PAUSE_MS)
    const stopped =
      what === 'stops' ? Promise.all([nodes.entry, nodes.holder].map(({ plane }) => plane.stop(GRACE_MS))) : undefined
    await setTimeout(PAUSE_MS)
    read()
    expect(await outcomes).toEqual(WHOLE)
    nodes.leave()
    await stopped
  },
)
