/** What the list of tasks says, read again and again: who is there, how many channels each has, and what others have to tell this one. Knows nothing of tunnels. */
import { type Eviction, readEviction, type Task, type TaskStore } from '@postern/protocol/store'

export interface TaskViewDeps {
  readonly tasks: Pick<TaskStore, 'list' | 'heeded'>
  readonly taskId: string
  readonly bootId: string
  /** A channel of this task has lost its slot to one on another task. Harmless when it is gone already, or told twice. */
  evicted(eviction: Eviction): void
  /** Milliseconds since 1970. */
  clock(): number
}

export class TaskView {
  readonly #deps: TaskViewDeps
  #tasks: readonly Task[] = []

  constructor(deps: TaskViewDeps) {
    this.#deps = deps
  }

  /**
   * Reads the list and heeds what it says to this task. What was heeded is taken away afterwards: a crash or a lost answer in between has
   * it heeded twice, never not at all. Rejects with the table's fault; what was known before stands.
   */
  async round(): Promise<void> {
    const { tasks, taskId, bootId, evicted } = this.#deps
    this.#tasks = await tasks.list()
    const own = this.#tasks.find((task) => task.taskId === taskId && task.bootId === bootId)
    if (own?.evictions === undefined || own.evictions.size === 0) return
    for (const text of own.evictions) {
      const eviction = readEviction(text)
      // A newer version's word, in a form that is not known here: whom it is about finds out when its agent asks for its next channel.
      if (eviction !== undefined) evicted(eviction)
    }
    await tasks.heeded({ taskId, bootId, evictions: own.evictions })
  }

  /** Other tasks that take channels, as they were read last. */
  get others(): readonly Task[] {
    const now = this.#deps.clock()
    return this.#tasks.filter(
      ({ taskId, leaseUntil, draining }) => taskId !== this.#deps.taskId && leaseUntil > now && !draining,
    )
  }

  /** Reads the list anew and answers which routes name a task whose lease runs. This task's own always do. */
  async liveNow(): Promise<(holder: { taskId: string; bootId: string }) => boolean> {
    const { tasks, taskId: ownId, bootId: ownBoot, clock } = this.#deps
    const now = clock()
    const live = new Map<string, string>([[ownId, ownBoot]])
    for (const { taskId, bootId, leaseUntil } of await tasks.list()) {
      if (taskId !== ownId && leaseUntil > now) live.set(taskId, bootId)
    }
    return ({ taskId, bootId }) => live.get(taskId) === bootId
  }
}
