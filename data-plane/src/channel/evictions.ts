/** Has channels told that their slot is another's: those of this task at once, those of others by the list of tasks. Knows nothing of how slots are claimed. */
import { TunnelFault } from '@postern/protocol/fault'
import { type Eviction, readEviction, type TaskStore } from '@postern/protocol/store'
import type { Loss } from './claim-route.ts'
import type { Tunnel } from './tunnel.ts'

export interface EvictionsDeps {
  readonly tasks: Pick<TaskStore, 'evict' | 'heeded'>
  readonly taskId: string
  readonly bootId: string
  tunnels(): Iterable<Pick<Tunnel, 'connId' | 'supersededBy' | 'disconnect'>>
}

export class Evictions {
  readonly #deps: EvictionsDeps

  constructor(deps: EvictionsDeps) {
    this.#deps = deps
  }

  /** Resolves once it is on its way. Where the process is gone that had the channel, so is the channel. */
  async tell({ lost, by, why }: Loss): Promise<void> {
    const { tasks, taskId, bootId } = this.#deps
    const eviction = { connId: lost.connId, why, byInstance: by.instanceId, by: by.label }
    if (lost.taskId === taskId && lost.bootId === bootId) this.heed(eviction)
    else await tasks.evict({ taskId: lost.taskId, bootId: lost.bootId, eviction })
  }

  /**
   * What others have to say to this task, as it stands in its row. What was heeded is taken away afterwards: a crash or a lost answer in
   * between has it heeded twice, never not at all. Rejects with the table's fault.
   */
  async heedAll(evictions: ReadonlySet<string> | undefined): Promise<void> {
    if (evictions === undefined || evictions.size === 0) return
    for (const text of evictions) {
      const eviction = readEviction(text)
      // A newer version's word, in a form that is not known here: whom it is about finds out when its agent asks for its next channel.
      if (eviction !== undefined) this.heed(eviction)
    }
    const { tasks, taskId, bootId } = this.#deps
    await tasks.heeded({ taskId, bootId, evictions })
  }

  /** For a channel of this task. Harmless when it is gone, or was told before. */
  heed({ connId, why, byInstance, by }: Eviction): void {
    for (const tunnel of this.#deps.tunnels()) {
      if (tunnel.connId !== connId) continue
      if (why === 'superseded') tunnel.supersededBy({ instanceId: byInstance, label: by })
      else tunnel.disconnect(new TunnelFault('channel-closed', 'Its slot was given to another agent.'))
    }
  }
}
