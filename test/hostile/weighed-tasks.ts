/** Data planes in a process of their own, by what they hold in memory. */
import type { ChannelTicket } from '@postern/protocol/ticket'
import { startForked } from '../support/forked.ts'

export interface Weight {
  /** What is in use once garbage has been collected, in bytes: the heap, and all that V8 counts beside it (Buffers, node:http2, OpenSSL). */
  readonly live: number
  /** What the system counts as resident, in bytes: garbage and the allocator's reserves are a part of it. */
  readonly resident: number
}

export interface TaskPorts {
  readonly public: number
  readonly redirect: number
  readonly channel: number
  readonly ops: number
}

/** What the process is asked: how many tasks it is to be, at first; a ticket; its weight. */
export type TasksOrder = { readonly tasks: number } | { readonly subdomain: string } | 'weigh'

const GAUGES = {
  held: 'postern_held_bytes',
  streams: 'postern_active_streams',
  visitors: 'postern_visitor_connections',
} as const

export class WeighedTasks {
  /** Agents are at the first task, visitors at the last. */
  readonly ports: readonly TaskPorts[]
  readonly #process: ReturnType<typeof startForked>

  static async start(tasks: number, timeScale = 1): Promise<WeighedTasks> {
    const env = { POSTERN_TIME_SCALE: String(timeScale) }
    const forked = startForked(new URL('./weighed-tasks-main.ts', import.meta.url), env)
    return new WeighedTasks(forked, await forked.ask<TaskPorts[]>({ tasks } satisfies TasksOrder))
  }

  private constructor(forked: ReturnType<typeof startForked>, ports: readonly TaskPorts[]) {
    this.#process = forked
    this.ports = ports
  }

  get entry(): TaskPorts {
    return this.ports.at(-1)!
  }

  /** For a channel to the first task. */
  ticket(subdomain: string): Promise<ChannelTicket> {
    return this.#process.ask({ subdomain } satisfies TasksOrder)
  }

  weigh(): Promise<Weight> {
    return this.#process.ask('weigh' satisfies TasksOrder)
  }

  /** Of all tasks together. */
  async gauge(which: keyof typeof GAUGES): Promise<number> {
    let sum = 0
    for (const { ops } of this.ports) {
      const page = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text()
      sum += Number(new RegExp(`^${GAUGES[which]} (\\S+)$`, 'm').exec(page)?.[1])
    }
    return sum
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}
