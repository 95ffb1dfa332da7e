/** Which tasks there are, and which of them live, judged by their leases. Knows nothing of tunnels, nor of how a task is reached. */
import { LEASE_MS, LEASE_WATCH_MS, TABLE_OUTAGE_MS } from '@postern/protocol/limits'
import type { Task, TaskStore } from '@postern/protocol/store'

export interface TaskViewDeps {
  readonly tasks: Pick<TaskStore, 'list'>
  readonly taskId: string
  readonly bootId: string
  /** Monotonic milliseconds. */
  now(): number
}

/** A process, as routes name it. */
type Holder = Pick<Task, 'taskId' | 'bootId'>

interface Seen {
  readonly task: Task
  /** How long its lease was watched without a change; milliseconds. */
  readonly silentMs: number
  /** Its process was alive after this one had begun to watch: its lease has changed since, or it has answered. */
  readonly met: boolean
}

const isLive = ({ silentMs }: Seen): boolean => silentMs < LEASE_MS

/**
 * A lease counts until it was watched for LEASE_MS without a change, by our own monotonic clock: what time it names has no say. Watched is
 * what lies between two reads that succeeded, each time up to LEASE_WATCH_MS: while this process stood still, or the table could not be
 * read, nobody was silent. Without the table the last verdict stands, for TABLE_OUTAGE_MS.
 */
export class TaskView {
  readonly #deps: TaskViewDeps
  #seen = new Map<string, Seen>()
  /** Since when a process is known to be gone, by `taskId/bootId`; as many as have gone within the time anybody asks for them. */
  #goneSince = new Map<string, number>()
  #firstReadAt: number | undefined
  /** When the latest read that succeeded began. */
  #readAt: number | undefined
  #triedAt: number | undefined
  /** The table was out of reach for so long that what it said before counts no more. */
  #outdated = false
  #looking: Promise<undefined> | undefined

  constructor(deps: TaskViewDeps) {
    this.#deps = deps
  }

  /** Reads the tasks. Rejects with the table's fault, and then nothing is judged. */
  async round(): Promise<void> {
    const began = this.#deps.now()
    this.#triedAt = began
    try {
      this.#take(await this.#deps.tasks.list(), began)
    } catch (error) {
      if (this.#readAt !== undefined && began - this.#readAt >= TABLE_OUTAGE_MS) this.#outdated = true
      throw error
    }
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

  /** This task's own row, as it was read last. */
  get own(): Task | undefined {
    const { taskId, bootId } = this.#deps
    const task = this.#seen.get(taskId)?.task
    return task?.bootId === bootId ? task : undefined
  }

  /** Other tasks that live and take channels. */
  get others(): readonly Task[] {
    if (this.#outdated) return []
    const others: Task[] = []
    for (const seen of this.#seen.values()) {
      const { taskId, draining } = seen.task
      if (taskId !== this.#deps.taskId && !draining && isLive(seen)) others.push(seen.task)
    }
    return others
  }

  /** The process of that id, if it lives; undefined too while nothing is known. */
  find(taskId: string, bootId: string): Task | undefined {
    const seen = this.#seen.get(taskId)
    return seen !== undefined && seen.task.bootId === bootId && isLive(seen) && !this.#outdated ? seen.task : undefined
  }

  /** Reads the tasks anew and answers which processes live. This one always does. Rejects with the table's fault. */
  async liveNow(): Promise<(holder: Holder) => boolean> {
    await this.round()
    const { taskId: ownId, bootId: ownBoot } = this.#deps
    return ({ taskId, bootId }) => (taskId === ownId ? bootId === ownBoot : this.find(taskId, bootId) !== undefined)
  }

  /** Whether that process was ever seen, or is known to be gone. */
  knows(taskId: string, bootId: string): boolean {
    return this.#seen.get(taskId)?.task.bootId === bootId || this.#goneSince.has(keyOf({ taskId, bootId }))
  }

  /** Whether that process was alive at some time since this one began to watch. At first the row of a killed process looks like any other. */
  hasMet(taskId: string, bootId: string): boolean {
    const seen = this.#seen.get(taskId)
    return seen !== undefined && seen.task.bootId === bootId && seen.met
  }

  /** That process has answered, which proves its life without its lease. */
  meet(taskId: string, bootId: string): void {
    const seen = this.#seen.get(taskId)
    if (seen?.task.bootId === bootId) this.#seen.set(taskId, { ...seen, met: true })
  }

  /** Whether it was read, or tried to be, within so many milliseconds. */
  triedWithin(ms: number): boolean {
    return this.#triedAt !== undefined && this.#deps.now() - this.#triedAt < ms
  }

  /** Since when the process is known not to live: since the first look, if it was never seen. Undefined while nothing is known. */
  goneSince(taskId: string, bootId: string): number | undefined {
    return this.#goneSince.get(keyOf({ taskId, bootId })) ?? this.#firstReadAt
  }

  /** @param began when the read began that says so: what was waited for its answer, this process may have slept */
  #take(tasks: readonly Task[], began: number): void {
    // One that was begun earlier and took longer knows less.
    if (this.#readAt !== undefined && began < this.#readAt) return
    const watchedMs = Math.min(began - (this.#readAt ?? began), LEASE_WATCH_MS)
    const seen = new Map(tasks.map((task) => [task.taskId, this.#watch(task, watchedMs)]))
    this.#noteGone(this.#seen, seen)
    this.#seen = seen
    this.#firstReadAt ??= this.#deps.now()
    this.#readAt = began
    this.#outdated = false
  }

  #watch(task: Task, watchedMs: number): Seen {
    const before = this.#seen.get(task.taskId)
    const changed = before?.task.bootId !== task.bootId || before.task.leaseUntil !== task.leaseUntil
    if (!changed) return { task, silentMs: before.silentMs + watchedMs, met: before.met }
    // What stands there at the first look may have been written long ago.
    return { task, silentMs: 0, met: this.#readAt !== undefined }
  }

  #noteGone(before: ReadonlyMap<string, Seen>, after: ReadonlyMap<string, Seen>): void {
    const now = this.#deps.now()
    for (const seen of before.values()) {
      const next = after.get(seen.task.taskId)
      // Silent for too long, given up, or with a new process in its place.
      const lives = next !== undefined && next.task.bootId === seen.task.bootId && isLive(next)
      if (isLive(seen) && !lives) this.#goneSince.set(keyOf(seen.task), now)
    }
    for (const seen of after.values()) if (isLive(seen)) this.#goneSince.delete(keyOf(seen.task))
    for (const [key, since] of this.#goneSince) if (now - since > TABLE_OUTAGE_MS) this.#goneSince.delete(key)
  }
}

const keyOf = ({ taskId, bootId }: Holder): string => `${taskId}/${bootId}`
