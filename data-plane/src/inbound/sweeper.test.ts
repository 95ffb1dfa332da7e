import { expect, test } from 'vitest'
import { type Expirable, Sweeper } from './sweeper.ts'

const PERIOD_MS = 1000

function setup() {
  const clock = { ms: 0 }
  const sweeper = new Sweeper(
    () => clock.ms,
    PERIOD_MS,
    (error) => expect.unreachable(String(error)),
  )
  const expired: number[] = []
  const item: Expirable & { deadline: number } = { deadline: Infinity, expire: () => expired.push(clock.ms) }
  /** Lets `ms` pass, looking at each whole period as the timer would. */
  const pass = (ms: number): void => {
    for (const end = clock.ms + ms; clock.ms < end; ) {
      clock.ms += 1
      if (clock.ms % PERIOD_MS === 0) sweeper.sweep()
    }
  }
  return { sweeper, item, expired, pass }
}

test('a deadline is never early and at most two periods late, whenever it is set between two looks', () => {
  for (const offset of [0, 1, 500, 999]) {
    const { sweeper, item, expired, pass } = setup()
    sweeper.add(item)
    pass(offset)
    item.deadline = sweeper.deadlineIn(5000)
    pass(10_000)
    expect(expired[0]).toBeGreaterThanOrEqual(offset + 5000)
    expect(expired[0]).toBeLessThanOrEqual(offset + 5000 + 2 * PERIOD_MS)
    sweeper.stop()
  }
})

test('what is removed, or has no limit, does not expire', () => {
  const { sweeper, item, expired, pass } = setup()
  const remove = sweeper.add(item)
  item.deadline = sweeper.deadlineIn(Infinity)
  pass(5000)
  item.deadline = sweeper.deadlineIn(10)
  remove()
  remove()
  pass(5000)
  expect(expired).toEqual([])
  sweeper.stop()
})
