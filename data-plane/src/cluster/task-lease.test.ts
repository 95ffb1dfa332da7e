import { TunnelFault } from '@postern/protocol/fault'
import { LEASE_MS, LEASE_RENEW_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { TaskLease } from './task-lease.ts'

type Answer = 'renewed' | 'refused' | 'unreachable'

function setup() {
  const calls: unknown[] = []
  const state = { answer: 'renewed' as Answer, elapsed: 0, draining: false }
  const lease = new TaskLease({
    tasks: {
      async renew(call) {
        calls.push(call)
        if (state.answer === 'unreachable') throw new TunnelFault('store-unavailable')
        return state.answer
      },
      end: async (call) => void calls.push(call),
    },
    task: { taskId: 'task-1', bootId: 'boot-1', version: '1.2.3' },
    facts: () => ({ addr: '10.0.0.1:7100', draining: state.draining, tunnels: 7 }),
    clock: () => 1_000_000 + state.elapsed,
    now: () => state.elapsed,
  })
  const round = async (answer: Answer, afterMs = LEASE_RENEW_MS): Promise<void> => {
    state.elapsed += afterMs
    state.answer = answer
    await lease.round()
  }
  return { lease, calls, state, round }
}

/** Whether it has resolved by now. */
async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false
  void promise.then(() => {
    over = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return over
}

test('renews with what is so at that moment, and gives the lease up at the end', async () => {
  const { lease, calls, state, round } = setup()
  await round('renewed', 0)
  await lease.settled
  state.draining = true
  await round('renewed', 5)
  await lease.end()
  const task = { taskId: 'task-1', bootId: 'boot-1' }
  const row = { ...task, addr: '10.0.0.1:7100', version: '1.2.3', tunnels: 7 }
  expect(calls).toEqual([{ ...row, draining: false, now: 1_000_000 }, { ...row, draining: true, now: 1_000_005 }, task])
  expect(await isOver(lease.lost)).toBe(false)
})

test('a renewal that is refused after the lease was held fences at once: nothing is renewed or given up any more', async () => {
  const { lease, calls, round } = setup()
  await round('renewed')
  await round('refused')
  expect(await lease.lost).toMatchObject({ code: 'config-invalid', exit: 2 })
  calls.length = 0
  await round('renewed')
  await lease.end()
  expect(calls).toEqual([])
})

test('the lease that a killed process left behind is waited for', async () => {
  const { lease, round } = setup()
  for (let waited = 0; waited < LEASE_MS; waited += LEASE_RENEW_MS) await round('refused')
  expect(await isOver(lease.settled)).toBe(false)
  expect(await isOver(lease.lost)).toBe(false)
  await round('renewed')
  await lease.settled
})

test('a lease that another process goes on renewing is not waited for without end', async () => {
  const { lease, round } = setup()
  await round('refused')
  await round('refused', LEASE_MS + LEASE_RENEW_MS + 1)
  expect(await lease.lost).toMatchObject({ code: 'config-invalid' })
})

test('a table out of reach fences nobody: not at the start, and not for however long', async () => {
  const { lease, round } = setup()
  await expect(round('unreachable')).rejects.toMatchObject({ code: 'store-unavailable' })
  await lease.settled
  await round('renewed')
  for (let i = 0; i < 10; i += 1) await expect(round('unreachable', LEASE_MS)).rejects.toThrow()
  await round('renewed')
  expect(await isOver(lease.lost)).toBe(false)
})
