/** Which tasks of the data plane are there: a channel is open while its task's lease lasts. */
import type { Stores } from '@postern/protocol/store'

export interface LiveTasks {
  /** Whether that task, in that life of its process, has a lease. */
  has(holder: { taskId: string; bootId: string }): boolean
}

/** @param now ms since 1970 */
export async function liveTasks({ tasks }: Pick<Stores, 'tasks'>, now: number): Promise<LiveTasks> {
  const live = new Map<string, string>()
  for (const { taskId, bootId, leaseUntil } of await tasks.list()) if (leaseUntil > now) live.set(taskId, bootId)
  return { has: ({ taskId, bootId }) => live.get(taskId) === bootId }
}
