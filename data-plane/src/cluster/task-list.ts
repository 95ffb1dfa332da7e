/** Which tasks there are, judged by their leases. Knows nothing of tunnels, nor of how a task is reached. */
import { LEASE_MS, TABLE_OUTAGE_MS } from '@postern/protocol/limits'
import type { Task, TaskStore } from '@postern/protocol/store'

export interface TaskListDeps {
  readonly tasks: Pick<TaskStore, 'list'>
  /** Monotonic milliseconds. */
  now(): number
}

interface Seen {
  readonly task: Task
  /** When its lease was last seen to have changed; monotonic. */
  readonly changedAt: number
  readonly live: boolean
}

/**
 * A lease counts as long as it was seen to change within LEASE_MS, by our own monotonic clock and on successful reads only: no clock of another
 * task has a say, and while the table cannot be read the last verdict stands, for TABLE_OUTAGE_MS.
 */
export class TaskList {
  readonly #deps: TaskListDeps
  #seen = new Map<string, Seen>()
  /** Since when a process is known to be gone, by `taskId/bootId`; as many as have gone within the time anybody asks for them. */
  #goneSince = new Map<string, number>()
  #firstReadAt: number | undefined
  #readAt: number | undefined
  #triedAt: number | undefined
  #looking: Promise<undefined> | undefined

  constructor(deps: TaskListDeps) {
    this.#deps = deps
  }

  /** Whether that process was ever seen, or is known to be gone. */
  knows(taskId: string, bootId: string): boolean {
    return this.#seen.get(taskId)?.task.bootId === bootId || this.#goneSince.has(keyOf(taskId, bootId))
  }

  /** Whether it was read, or tried to be, within so many milliseconds. */
  triedWithin(ms: number): boolean {
    return this.#triedAt !== undefined && this.#deps.now() - this.#triedAt < ms
  }

  /** Reads the tasks before their turn, once for all who ask at the same time. Never rejects. */
  look(): Promise<undefined> {
    this.#looking ??= this.round()
      .then(
        () => undefined,
        // The rounds tell of an outage.
        () => undefined,
      )
      .finally(() => {
        this.#looking = undefined
      })
    return this.#looking
  }

  /** Reads the tasks. Rejects with the table's fault, and then nothing is judged. */
  async round(): Promise<void> {
    this.#triedAt = this.#deps.now()
    const tasks = await this.#deps.tasks.list()
    const now = this.#deps.now()
    const seen = new Map<string, Seen>()
    for (const task of tasks) {
      const before = this.#seen.get(task.taskId)
      const same = before !== undefined && before.task.bootId === task.bootId
      const changed = !same || before.task.leaseUntil !== task.leaseUntil
      const changedAt = changed ? now : before.changedAt
      const live = now - changedAt < LEASE_MS
      seen.set(task.taskId, { task, changedAt, live })
      if (live) this.#goneSince.delete(keyOf(task.taskId, task.bootId))
      else if (before?.live !== false) this.#goneSince.set(keyOf(task.taskId, task.bootId), now)
    }
    for (const [taskId, { task, live }] of this.#seen) {
      if (live && seen.get(taskId)?.task.bootId !== task.bootId) this.#goneSince.set(keyOf(taskId, task.bootId), now)
    }
    for (const [key, since] of this.#goneSince) if (now - since > TABLE_OUTAGE_MS) this.#goneSince.delete(key)
    this.#seen = seen
    this.#firstReadAt ??= now
    this.#readAt = now
  }

  /** The process of that id, if it is there; undefined too while nothing is known. */
  find(taskId: string, bootId: string): Task | undefined {
    const seen = this.#seen.get(taskId)
    if (seen === undefined || !seen.live || seen.task.bootId !== bootId) return undefined
    return this.#deps.now() - this.#readAt! < TABLE_OUTAGE_MS ? seen.task : undefined
  }

  /** Since when the process is known not to be there: since the first look, if it was never seen. Undefined while nothing is known. */
  goneSince(taskId: string, bootId: string): number | undefined {
    return this.#goneSince.get(keyOf(taskId, bootId)) ?? this.#firstReadAt
  }
}

const keyOf = (taskId: string, bootId: string): string => `${taskId}/${bootId}`
