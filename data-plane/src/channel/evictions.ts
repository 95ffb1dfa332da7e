/** Has channels told that their slot is another's: those of this task at once, those of others by the list of tasks. Knows nothing of how slots are claimed. */
import { TunnelFault } from '@postern/protocol/fault'
import type { Eviction, TaskStore } from '@postern/protocol/store'
import type { Loss } from './claim-route.ts'
import type { Tunnel } from './tunnel.ts'

export interface EvictionsDeps {
  readonly tasks: Pick<TaskStore, 'evict'>
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

  /** For a channel of this task. Harmless when it is gone, or was told before. */
  heed({ connId, why, byInstance, by }: Eviction): void {
    for (const tunnel of this.#deps.tunnels()) {
      if (tunnel.connId !== connId) continue
      if (why === 'superseded') tunnel.supersededBy({ instanceId: byInstance, label: by })
      else tunnel.disconnect(new TunnelFault('channel-closed', 'Its slot was given to another agent.'))
    }
  }
}
