import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { SharedBackoff } from './shared-backoff.ts'

/** A back-off on a clock of its own. `sleeping`: what is left of each sleep, in the order they began. */
function setup() {
  let now = 0
  const sleepers = new Set<{ until: number; wake: () => void }>()
  const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const sleeper = { until: now + ms, wake: () => void (sleepers.delete(sleeper) && resolve()) }
      if (signal.aborted) return resolve()
      sleepers.add(sleeper)
      signal.addEventListener('abort', sleeper.wake)
    })
  const backoff = new SharedBackoff({ random: () => 0.5, sleep, now: () => now })
  const pass = async (ms: number): Promise<void> => {
    now += ms
    for (const sleeper of sleepers) if (sleeper.until <= now) sleeper.wake()
    for (let i = 0; i < 10; i += 1) await Promise.resolve()
  }
  const sleeping = () => [...sleepers].map(({ until }) => until - now)
  return { backoff, pass, sleeping, never: new AbortController().signal }
}

/** Whether it has resolved. */
function watch(promise: Promise<void>): { done: boolean } {
  const state = { done: false }
  void promise.then(() => {
    state.done = true
  })
  return state
}

test('whoever comes new waits as long as whoever has failed most', () => {
  const { backoff } = setup()
  expect(backoff.delayAfter(0)).toBe(BACKOFF_FIRST_MS / 2)
  expect(backoff.delayAfter(4)).toBe(BACKOFF_FIRST_MS * 8)
  expect(backoff.delayAfter(0)).toBe(BACKOFF_FIRST_MS * 8)
  backoff.gotThrough()
  expect(backoff.delayAfter(0)).toBe(BACKOFF_FIRST_MS / 2)
})

test('the more wait, the longer each waits, so that together they try no more often than one; up to a ceiling', () => {
  const { backoff, never } = setup()
  for (let waiting = 0; waiting < 50; waiting += 1) {
    expect(backoff.delayAfter(3)).toBe(Math.min(BACKOFF_FIRST_MS * 4 * (waiting + 1), BACKOFF_LONGEST_MS * 4))
    void backoff.wait(1_000_000, never)
  }
})

test('when one gets through the others follow within a second, and none later than it would have anyway', async () => {
  const { backoff, pass, sleeping, never } = setup()
  const [long, short] = [watch(backoff.wait(60_000, never)), watch(backoff.wait(300, never))]
  await pass(100)
  backoff.gotThrough()
  await pass(0)
  expect(sleeping()).toEqual([500, 200])
  await pass(200)
  expect([long.done, short.done]).toEqual([false, true])
  await pass(300)
  expect(long.done).toBe(true)
})

test('being told to stop ends every wait at once', async () => {
  const { backoff, pass } = setup()
  const stopping = new AbortController()
  const waiting = watch(backoff.wait(60_000, stopping.signal))
  stopping.abort()
  await pass(0)
  expect(waiting.done).toBe(true)
  expect(backoff.delayAfter(0)).toBe(BACKOFF_FIRST_MS / 2)
})
