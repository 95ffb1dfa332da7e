/** The leases of the tasks. A route is live as long as the lease of its task is. */
import { LEASE_MS, TASK_PURGE_AFTER_MS } from '../limits.ts'
import { type Eviction, evictionSchema, taskSchema } from './records.ts'
import type { TaskStore } from './stores.ts'
import { type Key, purgeAt, readable, type Table } from './table.ts'

const key = (taskId: string): Key => ({ pk: 'TASKS', sk: taskId })

/**
 * A task id that comes back with another process, as after a crash on one machine, waits for the old lease to end. The
 * old process, should it only have slept, is refused from then on.
 */
const IS_FREE_OR_OURS = 'attribute_not_exists(#pk) OR #bootId = :bootId OR #leaseUntil < :now'
const IS_OURS = '#bootId = :bootId'

const RENEW = `SET #taskId = :taskId, #bootId = :bootId, #addr = :addr, #leaseUntil = :leaseUntil,
  #draining = :draining, #tunnels = :tunnels, #version = :version, #purgeAt = :purgeAt`

export function taskStore(table: Table): TaskStore {
  return {
    async renew({ now, bootId, ...task }) {
      const leaseUntil = now + LEASE_MS
      const written = await table.update(key(task.taskId), {
        expression: RENEW,
        condition: { clause: IS_FREE_OR_OURS, values: { bootId, now } },
        values: { ...task, leaseUntil, purgeAt: purgeAt(leaseUntil + TASK_PURGE_AFTER_MS) },
      })
      return written.kind === 'done' ? 'renewed' : 'refused'
    },

    async end({ taskId, bootId }) {
      await table.remove(key(taskId), { clause: IS_OURS, values: { bootId } })
    },

    async list() {
      const items = await table.list('TASKS')
      return readable(taskSchema, items)
    },

    async evict({ taskId, bootId, eviction }) {
      const written = await table.update(key(taskId), {
        expression: 'ADD #evictions :evictions',
        condition: { clause: IS_OURS, values: { bootId } },
        values: { evictions: new Set([evictionText(eviction)]) },
      })
      return written.kind === 'done'
    },

    async heeded({ taskId, bootId, evictions }) {
      await table.update(key(taskId), {
        expression: 'DELETE #evictions :evictions',
        condition: { clause: IS_OURS, values: { bootId } },
        values: { evictions },
      })
    },
  }
}

/** One eviction as a member of the set on its task's row. */
const evictionText = ({ connId, byInstance, by, why }: Eviction): string =>
  JSON.stringify({ connId, why, byInstance, ...(by !== undefined && { by }) })

/** Undefined for one that a newer version wrote in a form that is not known here. */
export function readEviction(text: string): Eviction | undefined {
  try {
    const read = evictionSchema.safeParse(JSON.parse(text))
    return read.success ? read.data : undefined
  } catch {
    // Not JSON: written by nobody that is known here.
    return undefined
  }
}
