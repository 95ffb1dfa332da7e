/** What a task reads and tells by the table, round after round: its lease, the other tasks, revocations, tokens again. Knows nothing of listeners. */
import type { HopPeer } from '@postern/protocol/channel'
import type { TunnelFault } from '@postern/protocol/fault'
import {
  LEASE_RENEW_MS,
  LEASE_RETRY_MS,
  REVOCATION_POLL_MS,
  TASKS_POLL_MS,
  TOKEN_RECHECK_TICK_MS,
} from '@postern/protocol/limits'
import type { Task } from '@postern/protocol/store'
import { Evictions } from '../channel/evictions.ts'
import type { Tunnel } from '../channel/tunnel.ts'
import type { Fence } from '../cluster/fence.ts'
import { repeat } from '../cluster/repeat.ts'
import { RevocationWatch } from '../cluster/revocation-watch.ts'
import { TaskLease } from '../cluster/task-lease.ts'
import { TaskView } from '../cluster/task-view.ts'
import { TokenCheck } from '../cluster/token-check.ts'
import type { DataPlaneDeps, PlaneStores } from '../plane-deps.ts'
import { VERSION } from '../version.ts'

export interface TableRoundsDeps extends Pick<DataPlaneDeps, 'log' | 'clock' | 'now'> {
  readonly stores: Pick<PlaneStores, 'tasks' | 'revocations' | 'tokens'>
  readonly self: HopPeer
  tunnels(): ReadonlySet<Tunnel>
  /** What this task's row says, beside who it is. */
  facts(): Pick<Task, 'addr' | 'draining' | 'tunnels'>
  /** Shut for good when another process has the id of this task. */
  readonly fence: Pick<Fence, 'leaseSettled' | 'shut'>
}

export class TableRounds {
  readonly lease: TaskLease
  readonly view: TaskView
  readonly evictions: Evictions
  readonly watch: RevocationWatch
  readonly #tokens: TokenCheck
  readonly #deps: TableRoundsDeps
  #loops: (() => Promise<void>)[] = []

  constructor(deps: TableRoundsDeps) {
    this.#deps = deps
    const { stores, self, tunnels, facts, fence, log, clock, now } = deps
    this.lease = new TaskLease({ tasks: stores.tasks, task: { ...self, version: VERSION }, facts, clock, now })
    void this.lease.lost.then(() => fence.shut())
    this.view = new TaskView({ tasks: stores.tasks, ...self, now })
    this.evictions = new Evictions({ tasks: stores.tasks, ...self, tunnels })
    this.watch = new RevocationWatch({
      revocations: stores.revocations,
      tunnels,
      unreadable: (cursor) => log.error({ cursor }, 'a revocation cannot be read; was it made by a newer version?'),
      clock,
      now,
    })
    this.#tokens = new TokenCheck({
      tokens: stores.tokens,
      tunnels,
      now,
      random: Math.random,
      unreadable: (fault) => log.error({ err: fault }, 'a token cannot be read; its tunnels stay'),
    })
  }

  /**
   * Begins all of them. Resolves when the lease is held, or when the table is out of reach.
   * @throws TunnelFault `config-invalid` if another process is this task
   */
  async begin(): Promise<void> {
    this.#loops = [
      this.#again('lease', LEASE_RENEW_MS, () => this.#renewLease(), LEASE_RETRY_MS),
      this.#again('revocations', REVOCATION_POLL_MS, () => this.watch.round()),
      this.#again('tokens', TOKEN_RECHECK_TICK_MS, () => this.#tokens.round()),
      this.#again('tasks', TASKS_POLL_MS, () => this.#readTasks()),
    ]
    const refused = await Promise.race([this.lease.settled, this.lease.lost])
    if (refused) throw refused
  }

  /** Ends them, and gives the lease up. Never rejects. */
  async end(): Promise<void> {
    await Promise.all(this.#loops.map((end) => end()))
    try {
      await this.lease.end()
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the lease could not be given up; it ends by itself')
    }
  }

  /** Out of the table's reach everything that is open stays open. */
  #again(what: string, everyMs: number, round: () => Promise<void>, retryMs = everyMs): () => Promise<void> {
    const { log, now } = this.#deps
    return repeat({
      everyMs,
      retryMs,
      round,
      now,
      failed: (fault: TunnelFault) =>
        log.warn({ err: fault }, `${what}: nothing usable from the table; tunnels stay as they are`),
      recovered: () => log.info(`${what}: from the table again`),
    })
  }

  async #renewLease(): Promise<void> {
    const began = this.#deps.now()
    try {
      await this.lease.round()
    } finally {
      this.#deps.fence.leaseSettled(began)
    }
  }

  async #readTasks(): Promise<void> {
    await this.view.round()
    await this.evictions.heedAll(this.view.own?.evictions)
  }
}
