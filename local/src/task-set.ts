/** Data-plane tasks behind the balancer of this machine, and how they are replaced one after the other. Knows nothing of how a task is started. */
import { TunnelFault } from '@postern/protocol/fault'
import type { Balancer, TaskPorts } from './balancer.ts'
import type { Child } from './child.ts'

interface TaskProcess extends TaskPorts {
  readonly child: Child
}

export interface TaskSetOptions {
  readonly balancer: Pick<Balancer, 'add'>
  readonly count: number
  /** What the others get to end, if one does not come up; milliseconds. */
  readonly graceMs: number
  /** @param name for messages: `task 1` */
  start(name: string): Promise<TaskProcess>
}

/** A step of a replacement. */
export interface TaskEvent {
  readonly task: string
  readonly event: 'started' | 'told to stop' | 'gone'
}

interface RunningTask {
  readonly name: string
  readonly process: TaskProcess
  /** No new connection leads to it. */
  withdraw(): void
}

export class TaskSet {
  readonly #options: TaskSetOptions
  /** The oldest first. */
  readonly #tasks: RunningTask[] = []
  /** Those that were told to stop. */
  readonly #stopping = new Set<Child>()
  #started = 0
  #over = false
  #replacing: Promise<void> | undefined
  #break!: (fault: TunnelFault) => void

  /** Resolves when a task has ended that nobody told to. */
  readonly broken: Promise<TunnelFault>

  private constructor(options: TaskSetOptions) {
    this.#options = options
    this.broken = new Promise((resolve) => {
      this.#break = resolve
    })
  }

  /** @throws TunnelFault if one of them does not come up; the others are stopped then */
  static async start(options: TaskSetOptions): Promise<TaskSet> {
    const set = new TaskSet(options)
    const starts = await Promise.allSettled(Array.from({ length: options.count }, () => set.#startOne()))
    const failed = starts.find((start) => start.status === 'rejected')
    if (!failed) return set
    await set.stop(options.graceMs)
    throw failed.reason
  }

  /**
   * Replaces every task that runs now, as the service of a deployment does (at least 100 %, at most 200 %): a new one listens, the
   * balancer leads nobody to an old one any more, and that is told to stop and waited for. One replacement at a time.
   * @param stopMs until a task that was told to stop is killed
   */
  replaceAll(stopMs: number, happened: (event: TaskEvent) => void): Promise<void> {
    this.#replacing ??= this.#replaceAll(stopMs, happened).finally(() => {
      this.#replacing = undefined
    })
    return this.#replacing
  }

  /** Tells all of them to stop at once. @param graceMs until those that are left are killed */
  async stop(graceMs: number): Promise<void> {
    this.#over = true
    await Promise.all(this.#tasks.splice(0).map((task) => this.#end(task, graceMs)))
  }

  async #replaceAll(stopMs: number, happened: (event: TaskEvent) => void): Promise<void> {
    for (const old of [...this.#tasks]) {
      if (this.#over) return
      const { name, process } = await this.#startOne()
      if (this.#over) return void (await process.child.stop(0))
      happened({ task: name, event: 'started' })
      this.#tasks.splice(this.#tasks.indexOf(old), 1)
      const gone = this.#end(old, stopMs)
      happened({ task: old.name, event: 'told to stop' })
      await gone
      happened({ task: old.name, event: 'gone' })
    }
  }

  async #startOne(): Promise<RunningTask> {
    this.#started += 1
    const name = `task ${this.#started}`
    const process = await this.#options.start(name)
    const task = { name, process, withdraw: this.#options.balancer.add(process) }
    this.#tasks.push(task)
    void process.child.exited.then(({ code, signal }) => {
      if (this.#stopping.has(process.child)) return
      task.withdraw()
      this.#break(new TunnelFault('internal-error', `${name} ended (${signal ?? `exit code ${code}`}).`))
    })
    return task
  }

  async #end({ process, withdraw }: RunningTask, graceMs: number): Promise<void> {
    this.#stopping.add(process.child)
    withdraw()
    await process.child.stop(graceMs)
    this.#stopping.delete(process.child)
  }
}
