import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HEARTBEAT_MS, SILENCE_MS } from '../limits.ts'
import { Heartbeat } from './heartbeat.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Time goes by in small steps, and each turn of the loop in which something was due is finished. */
async function pass(milliseconds: number): Promise<void> {
  const step = Math.max(1, HEARTBEAT_MS / 10)
  for (let left = milliseconds; left > 0; left -= step) {
    vi.advanceTimersByTime(Math.min(step, left))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function beating() {
  const told = { pings: 0, silent: 0, received: 0 }
  const heartbeat = new Heartbeat({
    ping: () => {
      told.pings += 1
    },
    received: () => told.received,
    silent: () => {
      told.silent += 1
    },
  })
  return { told, heartbeat }
}

test('a peer that answers is pinged once an interval, for ever', async () => {
  const { told, heartbeat } = beating()
  for (let beat = 0; beat < 100; beat += 1) {
    await pass(HEARTBEAT_MS)
    told.received += 12
  }
  expect([told.pings, told.silent]).toEqual([100, 0])
  heartbeat.stop()
})

test('a peer that never answers is gone a silence after the first ping, and is not told so twice', async () => {
  const { told } = beating()
  await pass(HEARTBEAT_MS + SILENCE_MS - 1)
  expect(told.silent).toBe(0)
  await pass(1)
  expect(told.silent).toBe(1)
  await pass(10 * SILENCE_MS)
  expect(told.silent).toBe(1)
  expect(vi.getTimerCount()).toBe(0)
})

test('any byte is life, also one that is no answer to a ping and comes at the last moment', async () => {
  const { told, heartbeat } = beating()
  await pass(HEARTBEAT_MS + SILENCE_MS - 1)
  told.received += 1
  await pass(1)
  expect(told.silent).toBe(0)
  await pass(SILENCE_MS)
  expect(told.silent).toBe(1)
  heartbeat.stop()
})

test('bytes that came while the process was busy count before it judges', async () => {
  const { told, heartbeat } = beating()
  await pass(HEARTBEAT_MS + SILENCE_MS - 1)
  // The timer is due; the loop reads its sockets before the judgement.
  setTimeout(() => {
    told.received += 1
  }, 1)
  await pass(1)
  expect(told.silent).toBe(0)
  heartbeat.stop()
})

test('stopping leaves no timer, and stopping again is harmless', async () => {
  const { told, heartbeat } = beating()
  await pass(HEARTBEAT_MS)
  heartbeat.stop()
  heartbeat.stop()
  await pass(10 * SILENCE_MS)
  expect([told.pings, told.silent, vi.getTimerCount()]).toEqual([1, 0, 0])
})
