/** Many agents in a few processes of their own, each agent with a back-off of its own; when each of them was online, and on which task. Knows nothing of what happens to them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface FleetOrder {
  readonly names: readonly string[]
  /** The token of each name's owner. */
  readonly tokens: readonly string[]
  readonly server: string
  /** Their local server. */
  readonly originPort: number
}

/** What a fleet's process tells. `at`: milliseconds since 1970, on the clock of the machine. */
export type FleetEvent =
  | {
      readonly kind: 'online'
      readonly name: string
      readonly at: number
      readonly task: string
      readonly epoch: number
    }
  | { readonly kind: 'lost'; readonly name: string; readonly at: number; readonly why: string }
  | { readonly kind: 'over'; readonly name: string; readonly at: number; readonly why: string }

export interface Fleet {
  readonly events: readonly FleetEvent[]
  /** On which task each name is, as its agent heard last. */
  readonly tasks: ReadonlyMap<string, string>
  /** Resolves when `enough` is true, which is asked at each event. @throws Error after `patienceMs` */
  until(enough: () => boolean, patienceMs: number): Promise<void>
  stop(): Promise<void>
}

/** Thousands of openings, on a table that is made for tests. */
const START_MS = 600_000

/** As performance.now(), but the same in every process of this machine. */
export const machineNow = (): number => performance.timeOrigin + performance.now()

/** Resolves when all are online. */
export async function startFleet(
  order: FleetOrder,
  options: { processes: number; env?: NodeJS.ProcessEnv },
): Promise<Fleet> {
  const events: FleetEvent[] = []
  const tasks = new Map<string, string>()
  const waiting = new Set<() => void>()
  const children: ChildProcess[] = []
  for (let index = 0; index < options.processes; index += 1) {
    const child = fork(fileURLToPath(new URL('./fleet-main.ts', import.meta.url)), {
      execArgv: ['--import', import.meta.resolve('tsx')],
      env: { ...process.env, ...options.env },
    })
    child.on('message', (heard: FleetEvent[]) => {
      for (const event of heard) {
        events.push(event)
        if (event.kind === 'online') tasks.set(event.name, event.task)
        else tasks.delete(event.name)
      }
      for (const wake of [...waiting]) wake()
    })
    const share = (list: readonly string[]): string[] => list.filter((_, at) => at % options.processes === index)
    child.send({ ...order, names: share(order.names), tokens: share(order.tokens) })
    children.push(child)
  }
  const until: Fleet['until'] = async (enough, patienceMs) => {
    const deadline = performance.now() + patienceMs
    while (!enough()) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`after ${patienceMs} ms ${tasks.size} of ${order.names.length} agents are online`)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, Math.min(left, 1000))
        waiting.add(wake)
      })
    }
  }
  const fleet: Fleet = {
    events,
    tasks,
    until,
    async stop() {
      await Promise.all(
        children.map(async (child) => {
          if (child.exitCode !== null) return
          const exited = once(child, 'exit')
          child.kill()
          await exited
        }),
      )
    },
  }
  try {
    await until(() => tasks.size === order.names.length, START_MS)
  } catch (error) {
    await fleet.stop()
    throw error
  }
  return fleet
}
