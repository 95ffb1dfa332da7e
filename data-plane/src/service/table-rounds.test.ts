import { TunnelFault } from '@postern/protocol/fault'
import { LEASE_MS } from '@postern/protocol/limits'
import type { Task } from '@postern/protocol/store'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { TableRounds } from './table-rounds.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** The list of tasks, and how many renewals it refuses to take before each that it takes. */
function tableThatThrottles(between: number) {
  const rows = new Map<string, Task>()
  let refused = 0
  return {
    async renew({ now, ...task }: Omit<Task, 'leaseUntil' | 'evictions'> & { now: number }) {
      const known = rows.has(task.taskId)
      if (known && refused < between) {
        refused += 1
        throw new TunnelFault('store-unavailable')
      }
      refused = 0
      rows.set(task.taskId, { ...task, leaseUntil: now + LEASE_MS })
      return 'renewed' as const
    },
    end: async () => {},
    list: async () => [...rows.values()],
    evict: async () => false,
    heeded: async () => {},
  }
}

function roundsOf(taskId: string, tasks: ReturnType<typeof tableThatThrottles>): TableRounds {
  return new TableRounds({
    stores: { tasks, revocations: { since: async () => [] }, tokens: { find: async () => undefined } },
    self: { taskId, bootId: `boot of ${taskId}` },
    tunnels: () => new Set(),
    facts: () => ({ addr: '10.0.0.1:7100', draining: false, tunnels: 0 }),
    fence: { leaseSettled() {}, shut() {} },
    log: pino({ enabled: false }),
    clock: () => Date.now(),
    now: () => Date.now(),
  })
}

test('a task of which four renewals in a row fail is not taken for dead', async () => {
  const tasks = tableThatThrottles(4)
  const throttled = roundsOf('throttled', tasks)
  const watching = roundsOf('watching', { ...tasks, renew: async () => 'renewed' })
  await Promise.all([throttled.begin(), watching.begin()])
  const lived: boolean[] = []
  for (let passed = 0; passed < 6 * LEASE_MS; passed += 500) {
    await vi.advanceTimersByTimeAsync(500)
    lived.push(watching.view.find('throttled', 'boot of throttled') !== undefined)
  }
  expect(lived.slice(lived.indexOf(true))).not.toContain(false)
  await Promise.all([throttled.end(), watching.end()])
})
