import { TunnelFault } from '@postern/protocol/fault'
import { LEASE_MS, LEASE_RENEW_MS, TABLE_OUTAGE_MS } from '@postern/protocol/limits'
import type { Task } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { TaskList } from './task-list.ts'

const task = (taskId: string, changes: Partial<Task> = {}): Task => ({
  ...{ taskId, bootId: 'b1', addr: '10.0.0.1:7100', leaseUntil: 1, draining: false, tunnels: 0, version: '1' },
  ...changes,
})

function setup(...rows: Task[]) {
  const state = { rows, reads: 0, broken: false, ms: 1000 }
  const list = new TaskList({
    tasks: {
      list: async () => {
        state.reads += 1
        if (state.broken) throw new TunnelFault('store-unavailable')
        return state.rows
      },
    },
    now: () => state.ms,
  })
  return { list, state }
}

test('a lease counts as long as it is seen to change, whatever time it names', async () => {
  const { list, state } = setup(task('a'))
  await list.round()
  for (let renewals = 0; renewals < 10; renewals += 1) {
    state.ms += LEASE_RENEW_MS
    state.rows = [task('a', { leaseUntil: -renewals })]
    await list.round()
    expect(list.find('a', 'b1')?.addr).toBe('10.0.0.1:7100')
  }
  const stoodStillAt = state.ms
  while (state.ms < stoodStillAt + LEASE_MS) {
    state.ms += LEASE_RENEW_MS
    await list.round()
  }
  expect(list.find('a', 'b1')).toBeUndefined()
  expect(list.goneSince('a', 'b1')).toBe(state.ms)
})

test('while the table cannot be read the last verdict stands, for ten minutes', async () => {
  const { list, state } = setup(task('a'))
  await list.round()
  state.broken = true
  state.ms += TABLE_OUTAGE_MS - 1
  await expect(list.round()).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(list.find('a', 'b1')).toBeDefined()
  state.ms += 1
  expect(list.find('a', 'b1')).toBeUndefined()
})

test('a reader that slept does not take a sleep of its own for one of the others', async () => {
  const { list, state } = setup(task('a'))
  await list.round()
  state.ms += 10 * LEASE_MS
  state.rows = [task('a', { leaseUntil: 2 })]
  await list.round()
  expect(list.find('a', 'b1')).toBeDefined()
})

test('a task of the same name that was started again is another one; the former is gone since that was seen', async () => {
  const { list, state } = setup(task('a'))
  await list.round()
  state.ms += 5000
  state.rows = [task('a', { bootId: 'b2' })]
  await list.round()
  expect([list.find('a', 'b1'), list.goneSince('a', 'b1')]).toEqual([undefined, 6000])
  expect(list.find('a', 'b2')).toBeDefined()
})

test('a task that gave its lease up is gone at once; one that was never seen, since the first look', async () => {
  const { list, state } = setup(task('a'))
  expect(list.goneSince('x', 'b1')).toBeUndefined()
  await list.round()
  state.ms += 5000
  state.rows = []
  await list.round()
  expect([list.goneSince('a', 'b1'), list.goneSince('x', 'b1')]).toEqual([6000, 1000])
  expect([list.knows('a', 'b1'), list.knows('x', 'b1')]).toEqual([true, false])
})

test('those who look before its turn share one read', async () => {
  const { list, state } = setup(task('a'))
  await Promise.all([list.look(), list.look(), list.look()])
  expect(state.reads).toBe(1)
  state.broken = true
  await expect(list.look()).resolves.toBeUndefined()
  expect(list.triedWithin(1)).toBe(true)
})
