import { TunnelFault } from '@postern/protocol/fault'
import { LEASE_MS, LEASE_RENEW_MS, LEASE_WATCH_MS, TABLE_OUTAGE_MS, TASKS_POLL_MS } from '@postern/protocol/limits'
import type { Task } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { TaskView } from './task-view.ts'

const HOUR_MS = 3_600_000

const task = (taskId: string, changes: Partial<Task> = {}): Task => ({
  ...{ taskId, bootId: `boot of ${taskId}`, addr: '10.0.0.1:7100', leaseUntil: 1, draining: false, tunnels: 3 },
  version: '1',
  ...changes,
})

/** A table in the hands of the test, and the view that a task called `own` has of it. */
function setup(...rows: Task[]) {
  const state = { rows, reads: 0, broken: false, ms: 1000 }
  const view = new TaskView({
    tasks: {
      list: async () => {
        state.reads += 1
        if (state.broken) throw new TunnelFault('store-unavailable')
        return state.rows
      },
    },
    taskId: 'own',
    bootId: 'boot of own',
    now: () => state.ms,
  })
  const lives = (taskId: string): boolean => view.find(taskId, `boot of ${taskId}`) !== undefined
  /** Reads at the usual intervals; before each, `renew` may change the rows. */
  const watch = async (forMs: number, renew = (_ms: number): void => {}): Promise<void> => {
    for (let watched = 0; watched < forMs; watched += TASKS_POLL_MS) {
      state.ms += TASKS_POLL_MS
      renew(state.ms)
      await view.round()
    }
  }
  return { view, state, lives, watch }
}

/** The lease as that task writes it, whose clock is off by so much. */
const renewedBy = (clockOffMs: number) => (ms: number) =>
  Math.floor(ms / LEASE_RENEW_MS) * LEASE_RENEW_MS + LEASE_MS + clockOffMs

test.each([-HOUR_MS, HOUR_MS])('a task whose clock is off by %i ms lives as long as it renews', async (offMs) => {
  const { view, state, lives, watch } = setup()
  const leaseAt = renewedBy(offMs)
  await watch(10 * LEASE_MS, (ms) => {
    state.rows = [task('own'), task('a', { leaseUntil: leaseAt(ms) })]
  })
  expect(lives('a')).toBe(true)
  expect(view.others.map(({ taskId }) => taskId)).toEqual(['a'])
  expect((await view.liveNow())({ taskId: 'a', bootId: 'boot of a' })).toBe(true)
})

test('a clock that is set back between two renewals makes nobody look dead', async () => {
  const { state, lives, watch } = setup()
  await watch(10 * LEASE_MS, (ms) => {
    state.rows = [task('a', { leaseUntil: renewedBy(0)(ms) - (ms > 3 * LEASE_MS ? HOUR_MS : 0) })]
    expect(ms < 2 * TASKS_POLL_MS || lives('a')).toBe(true)
  })
})

test('a task that stops to renew is dead after LEASE_MS, whatever its lease says, and stays so', async () => {
  const { view, state, lives, watch } = setup(task('a', { leaseUntil: Number.MAX_SAFE_INTEGER }))
  await view.round()
  await watch(LEASE_MS - TASKS_POLL_MS)
  expect(lives('a')).toBe(true)
  await watch(TASKS_POLL_MS)
  expect(lives('a')).toBe(false)
  expect(view.others).toEqual([])
  expect((await view.liveNow())({ taskId: 'a', bootId: 'boot of a' })).toBe(false)
  const goneAt = state.ms
  expect(view.goneSince('a', 'boot of a')).toBe(goneAt)
  await watch(LEASE_MS)
  expect(view.goneSince('a', 'boot of a')).toBe(goneAt)
  await watch(2 * TABLE_OUTAGE_MS)
  expect(view.goneSince('a', 'boot of a'), 'gone for longer than anybody asks').toBe(1000)
})

test('a dead task that renews again lives', async () => {
  const { view, state, lives, watch } = setup(task('a'))
  await watch(2 * LEASE_MS)
  expect(lives('a')).toBe(false)
  state.rows = [task('a', { leaseUntil: 2 })]
  await view.round()
  expect(lives('a')).toBe(true)
})

test('what this process slept is nobody’s silence: not before its next read, nor if that is answered by what was under way', async () => {
  const { view, state, lives, watch } = setup(task('a'), task('b'))
  await view.round()
  await watch(LEASE_RENEW_MS - TASKS_POLL_MS)
  state.ms += HOUR_MS
  expect([lives('a'), view.others.length]).toEqual([true, 2])
  // As the rows were before the sleep.
  await view.round()
  expect([lives('a'), lives('b')]).toEqual([true, true])
  // One of them is awake and renews, the other has died meanwhile.
  let leaseUntil = 1
  await watch(LEASE_MS, () => {
    leaseUntil += 1
    state.rows = [task('a', { leaseUntil }), task('b')]
  })
  expect([lives('a'), lives('b')]).toEqual([true, false])
})

test('a sleep while a read is under way counts neither in this read nor in the next', async () => {
  const { view, state, lives } = setup(task('a'))
  await view.round()
  state.ms += TASKS_POLL_MS
  const under = view.round()
  state.ms += HOUR_MS
  await under
  expect(lives('a')).toBe(true)
  await view.round()
  expect(lives('a')).toBe(true)
  state.ms += LEASE_MS - TASKS_POLL_MS - LEASE_WATCH_MS
  await view.round()
  expect(lives('a'), 'what was watched on both sides').toBe(true)
})

test('a table that cannot be read changes nothing, and when it is back everybody has had the time to renew', async () => {
  const { view, state, lives, watch } = setup(task('own'), task('a'), task('b', { draining: true }))
  await view.round()
  await watch(LEASE_RENEW_MS - TASKS_POLL_MS)
  state.broken = true
  for (let outage = 0; outage < 20 * LEASE_MS; outage += LEASE_MS) {
    state.ms += LEASE_MS
    await expect(view.round()).rejects.toMatchObject({ code: 'store-unavailable' })
    await expect(view.liveNow()).rejects.toMatchObject({ code: 'store-unavailable' })
    expect([lives('a'), lives('b'), view.others.length, view.own?.taskId]).toEqual([true, true, 1, 'own'])
  }
  state.broken = false
  // Read before the others have reached it.
  await view.round()
  expect([lives('a'), lives('b')]).toEqual([true, true])
})

test('what the table said is forgotten when it was out of reach for ten minutes', async () => {
  const { view, state, lives } = setup(task('a'))
  await view.round()
  state.broken = true
  state.ms += TABLE_OUTAGE_MS - 1
  await expect(view.round()).rejects.toMatchObject({ code: 'store-unavailable' })
  expect([lives('a'), view.others.length]).toEqual([true, 1])
  state.ms += 1
  expect(lives('a'), 'nobody has asked the table since').toBe(true)
  await expect(view.round()).rejects.toMatchObject({ code: 'store-unavailable' })
  expect([lives('a'), view.others.length]).toEqual([false, 0])
  state.broken = false
  await view.round()
  expect([lives('a'), view.others.length]).toEqual([true, 1])
})

test('the others are those that take channels', async () => {
  const { view } = setup(task('own'), task('a'), task('b', { draining: true }))
  expect([view.others, view.own]).toEqual([[], undefined])
  await view.round()
  expect(view.others.map(({ taskId }) => taskId)).toEqual(['a'])
  expect(view.own?.taskId).toBe('own')
})

test('a claim asks the table anew; routes of this very process are live whatever its lease says, those of an earlier one are not', async () => {
  const { view, state } = setup(task('own'), task('a'))
  const isLive = await view.liveNow()
  expect(state.reads).toBe(1)
  const holders = ['a', 'own', 'nobody'].map((taskId) => ({ taskId, bootId: `boot of ${taskId}` }))
  expect(holders.map(isLive)).toEqual([true, true, false])
  expect(['a', 'own'].map((taskId) => isLive({ taskId, bootId: 'an earlier one' }))).toEqual([false, false])
})

test('a row that another process of the same task has left is not our own', async () => {
  const { view } = setup(task('own', { bootId: 'earlier' }))
  await view.round()
  expect(view.own).toBeUndefined()
})

test('a task of the same name that was started again is another one; the former is gone since that was seen', async () => {
  const { view, state, lives } = setup(task('a'))
  await view.round()
  state.ms += 5000
  state.rows = [task('a', { bootId: 'b2' })]
  await view.round()
  expect([lives('a'), view.goneSince('a', 'boot of a')]).toEqual([false, 6000])
  expect(view.find('a', 'b2')).toBeDefined()
})

test('a task that gave its lease up is gone at once; one that was never seen, since the first look', async () => {
  const { view, state } = setup(task('a'))
  expect(view.goneSince('x', 'b1')).toBeUndefined()
  await view.round()
  state.ms += 5000
  state.rows = []
  await view.round()
  expect([view.goneSince('a', 'boot of a'), view.goneSince('x', 'b1')]).toEqual([6000, 1000])
  expect([view.knows('a', 'boot of a'), view.knows('x', 'b1')]).toEqual([true, false])
})

test('those who look before its turn share one read', async () => {
  const { view, state } = setup(task('a'))
  await Promise.all([view.look(), view.look(), view.look()])
  expect(state.reads).toBe(1)
  state.broken = true
  await expect(view.look()).resolves.toBeUndefined()
  expect(view.triedWithin(1)).toBe(true)
})

test('an answer that was overtaken by that of a later read is not believed', async () => {
  const answers: ((rows: Task[]) => void)[] = []
  let ms = 0
  const list = () => new Promise<Task[]>((resolve) => answers.push(resolve))
  const view = new TaskView({ tasks: { list }, taskId: 'own', bootId: 'b', now: () => ms })
  const slow = view.round()
  ms += 10
  const quick = view.round()
  answers[1]!([task('a')])
  await quick
  answers[0]!([])
  await slow
  expect(view.others).toHaveLength(1)
})

test('a task was met once its lease was seen to change, or it has answered; the row of one that was killed looks the same until then', async () => {
  const { view, state, watch } = setup(task('a'), task('killed'))
  const met = (): boolean[] => ['a', 'killed', 'new'].map((taskId) => view.hasMet(taskId, `boot of ${taskId}`))
  await view.round()
  expect(met()).toEqual([false, false, false])
  await watch(LEASE_RENEW_MS, () => {
    state.rows = [task('a', { leaseUntil: 2 }), task('killed'), task('new')]
  })
  expect(met()).toEqual([true, false, true])
  await watch(LEASE_MS)
  expect(met()).toEqual([true, false, true])
  state.rows = [task('killed', { bootId: 'boot of its successor' })]
  await view.round()
  expect([view.hasMet('killed', 'boot of its successor'), ...met()]).toEqual([true, false, false, false])
  const other = setup(task('a'), task('b'))
  await other.view.round()
  other.view.meet('a', 'boot of a')
  other.view.meet('b', 'boot of its predecessor')
  other.view.meet('nobody', 'boot of nobody')
  await other.view.round()
  expect(['a', 'b'].map((taskId) => other.view.hasMet(taskId, `boot of ${taskId}`))).toEqual([true, false])
})
