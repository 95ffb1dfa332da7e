import { TunnelFault } from '@postern/protocol/fault'
import type { Eviction, Task } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { TaskView } from './task-view.ts'

const NOW = 1_000_000
const task = (taskId: string, changes: Partial<Task> = {}): Task => ({
  ...{ taskId, bootId: `boot of ${taskId}`, addr: '', leaseUntil: NOW + 1, draining: false, tunnels: 3, version: '1' },
  ...changes,
})

function setup(...rows: Task[]) {
  const told: Eviction[] = []
  const heeded: ReadonlySet<string>[] = []
  const state = { rows, broken: false }
  const check = (): void => {
    if (state.broken) throw new TunnelFault('store-unavailable')
  }
  const view = new TaskView({
    tasks: {
      list: async () => {
        check()
        return state.rows
      },
      heeded: async ({ evictions }) => {
        check()
        heeded.push(evictions)
      },
    },
    taskId: 'own',
    bootId: 'boot of own',
    evicted: (eviction) => told.push(eviction),
    clock: () => NOW,
  })
  return { view, told, heeded, state }
}

test('the others are those that take channels', async () => {
  const { view } = setup(task('own'), task('a'), task('b', { draining: true }), task('c', { leaseUntil: NOW }))
  expect(view.others).toEqual([])
  await view.round()
  expect(view.others.map(({ taskId }) => taskId)).toEqual(['a'])
})

test('a route is live while the lease of its very process runs; those of this one always are', async () => {
  const { view } = setup(task('a'), task('c', { leaseUntil: NOW }), task('own', { leaseUntil: NOW - 5 }))
  const isLive = await view.liveNow()
  const holders = ['a', 'c', 'own', 'nobody'].map((taskId) => ({ taskId, bootId: `boot of ${taskId}` }))
  expect(holders.map(isLive)).toEqual([true, false, true, false])
  expect(isLive({ taskId: 'a', bootId: 'an earlier one' })).toBe(false)
})

test('what others have to say is heeded, then taken away; what cannot be read is taken away too', async () => {
  const eviction = { connId: 'c', why: 'superseded', byInstance: 'i', by: 'desk' }
  const evictions = new Set([JSON.stringify(eviction), 'from the future'])
  const { view, told, heeded } = setup(task('own', { evictions }), task('a', { evictions: new Set(['not ours']) }))
  await view.round()
  expect(told).toEqual([eviction])
  expect(heeded).toEqual([evictions])
})

test('words to a former process of the same name are not ours', async () => {
  const { view, told, heeded } = setup(task('own', { bootId: 'earlier', evictions: new Set(['{}']) }))
  await view.round()
  expect([told, heeded]).toEqual([[], []])
})

test('while the table is out of reach what was known stands', async () => {
  const { view, state } = setup(task('a'))
  await view.round()
  state.broken = true
  await expect(view.round()).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(view.others).toHaveLength(1)
})
