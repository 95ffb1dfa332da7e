/** This task's row in the list of tasks: while its lease runs, the routes that name it count as live. Knows nothing of tunnels. */
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { LEASE_MS, LEASE_RENEW_MS } from '@postern/protocol/limits'
import type { Task, TaskStore } from '@postern/protocol/store'

export interface TaskLeaseDeps {
  readonly tasks: Pick<TaskStore, 'renew' | 'end'>
  readonly task: Pick<Task, 'taskId' | 'bootId' | 'version'>
  /** What changes while it runs. */
  facts(): Pick<Task, 'addr' | 'draining' | 'tunnels'>
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

type LeaseState =
  /** `refusedAt`: since when another process has the task id, perhaps only in what is left of its lease. */
  | { readonly kind: 'wanted'; readonly refusedAt: number | undefined }
  | { readonly kind: 'held' }
  | { readonly kind: 'lost' }

export class TaskLease {
  readonly #deps: TaskLeaseDeps
  #state: LeaseState = { kind: 'wanted', refusedAt: undefined }
  /** When the latest renewal that succeeded began; monotonic. Before the first, when it was first wanted. */
  #renewedAt: number
  #settle!: () => void
  #lose!: (fault: TunnelFault) => void

  /** Resolves when the lease is held, or when the table is out of reach: not reaching it fences nobody. */
  readonly settled: Promise<void>

  /** Resolves when another process has the task id: this one must serve nothing more. The fault is `config-invalid`. */
  readonly lost: Promise<TunnelFault>

  constructor(deps: TaskLeaseDeps) {
    this.#deps = deps
    this.#renewedAt = deps.now()
    this.settled = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.lost = new Promise((resolve) => {
      this.#lose = resolve
    })
  }

  /** Milliseconds since it was last renewed. */
  get age(): number {
    return this.#deps.now() - this.#renewedAt
  }

  /** Takes the lease or renews it; nothing once it is lost. Rejects with the table's fault. */
  async round(): Promise<void> {
    if (this.#state.kind === 'lost') return
    const { tasks, task, facts, clock, now } = this.#deps
    const began = now()
    try {
      const answer = await tasks.renew({ ...task, ...facts(), now: clock() })
      if (answer === 'refused') return this.#refused()
      this.#state = { kind: 'held' }
      this.#renewedAt = began
    } catch (error) {
      this.#settle()
      throw toFault(error)
    }
    this.#settle()
  }

  /** Gives the lease up, so that nobody waits for its end. No round may be under way, and none may follow. */
  async end(): Promise<void> {
    const { taskId, bootId } = this.#deps.task
    if (this.#state.kind !== 'lost') await this.#deps.tasks.end({ taskId, bootId })
  }

  /** A process that was killed leaves its lease behind: one that was never held is waited for until the former has run out. */
  #refused(): void {
    const now = this.#deps.now()
    if (this.#state.kind === 'wanted') {
      const refusedAt = this.#state.refusedAt ?? now
      if (now - refusedAt <= LEASE_MS + LEASE_RENEW_MS) {
        this.#state = { kind: 'wanted', refusedAt }
        return
      }
    }
    this.#state = { kind: 'lost' }
    this.#lose(new TunnelFault('config-invalid', `Another process is the task ${this.#deps.task.taskId}.`))
  }
}
