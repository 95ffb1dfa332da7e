/** Slow readers in every form at once, of nodes that go on or that stop. */
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { LINGER_MS } from '@postern/protocol/limits'
import type { LiveChannel } from '../../agent/src/live-channel.ts'
import { dialAgent } from './dial-agent.ts'
import { startLargeOrigin } from './large-download.ts'
import { BASE, type MemoryTask, startMemoryTask, startMemoryTasks } from './memory-task.ts'
import { FORMS, type Pace, visitSlowly } from './slow-visit.ts'

/** More than a connection lingers, and the deadlines are looked at. */
const PAUSE_MS = 3 * LINGER_MS
/** So often it is looked at what they hold. */
const LOOK_MS = 50
/** For what is under way when a node is asked to stop. */
const GRACE_MS = 60_000

export interface RoundOptions {
  /** Of each response. */
  readonly bytes: number
  readonly pace: Omit<Pace, 'from'>
  readonly stops: boolean
}

export interface RoundResult {
  /** What came, by form. */
  readonly outcomes: Record<string, string>
  /** What the nodes said that they held before anybody read. */
  readonly held: number
}

/** All `outcomes` of a round in which nobody loses anything. */
export const WHOLE: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(FORMS).map((name) => [name, 'whole']),
)

/** Nothing is read for as long as PAUSE_MS, twice; in between the nodes are asked to stop. */
export async function slowRound({ bytes, pace, stops }: RoundOptions): Promise<RoundResult> {
  const origin = await startLargeOrigin(bytes)
  const { port: originPort } = origin.address() as AddressInfo
  // Without another node it ends with its visitors when it is stopped; of two, those who have agents wait for them to move.
  const lone = await startMemoryTask()
  const [holder, entry] = (await startMemoryTasks(2)) as [MemoryTask, MemoryTask]
  const nodes = [lone, entry, holder]
  const open = async ({ desk, plane }: MemoryTask, name: string, rules = {}): Promise<LiveChannel> =>
    dialAgent(await desk.issue(name, plane.ports.channel, name), originPort, rules)
  const agents = [
    await open(lone, 'open'),
    await open(holder, 'open'),
    await open(holder, 'judged', { allow: ['127.0.0.0/8'] }),
  ]
  const stop = (graceMs: number): Promise<unknown> => {
    for (const agent of agents) agent.leave(graceMs)
    return Promise.all(nodes.map(({ plane }) => plane.stop(graceMs)))
  }
  try {
    let read = (): void => {}
    const from = new Promise<void>((resolve) => {
      read = resolve
    })
    const visits = Promise.all(
      Object.entries(FORMS).map(async ([name, form]) => {
        const { public: port } = (form.byPeer ? entry : lone).plane.ports
        return [name, await visitSlowly({ port, host: `${form.tunnel}.${BASE}`, form, pace: { from, ...pace }, bytes })]
      }),
    )
    const held = await heldAtRest(nodes)
    const stopped = stops ? stop(GRACE_MS) : undefined
    await setTimeout(PAUSE_MS)
    read()
    const outcomes = Object.fromEntries(await visits) as Record<string, string>
    await stopped
    return { outcomes, held }
  } finally {
    origin.close()
    origin.closeAllConnections()
    await stop(0)
  }
}

/** What they hold when no more comes: at the end of PAUSE_MS in which it did not change. */
async function heldAtRest(nodes: readonly MemoryTask[]): Promise<number> {
  let held = await heldBy(nodes)
  for (let quietMs = 0; quietMs < PAUSE_MS; ) {
    await setTimeout(LOOK_MS)
    const now = await heldBy(nodes)
    quietMs = now > 0 && now === held ? quietMs + LOOK_MS : 0
    held = now
  }
  return held
}

async function heldBy(nodes: readonly MemoryTask[]): Promise<number> {
  let held = 0
  for (const { plane } of nodes) {
    const page = await (await fetch(`http://127.0.0.1:${plane.ports.ops}/metrics`)).text()
    held += Number(/^postern_held_bytes (\S+)$/m.exec(page)?.[1])
  }
  return held
}
