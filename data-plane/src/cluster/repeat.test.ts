import { TunnelFault } from '@postern/protocol/fault'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { repeat } from './repeat.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Rounds that end when they are told to, and what was said of them. */
function setup(retryMs = 100) {
  const rounds: { done(): void; fail(): void }[] = []
  const said: string[] = []
  const stop = repeat({
    everyMs: 100,
    retryMs,
    round: () =>
      new Promise((resolve, reject) => {
        rounds.push({ done: resolve, fail: () => reject(new TunnelFault('store-unavailable')) })
      }),
    now: () => Date.now(),
    failed: (fault) => said.push(fault.code),
    recovered: () => said.push('recovered'),
  })
  return { rounds, said, stop }
}
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

test('rounds begin at even intervals, the first at once', async () => {
  const { rounds } = setup()
  expect(rounds).toHaveLength(1)
  await pass(30)
  rounds[0]!.done()
  await pass(69)
  expect(rounds).toHaveLength(1)
  await pass(1)
  expect(rounds).toHaveLength(2)
})

test('a round that takes longer than the interval is waited for, and the next follows at once', async () => {
  const { rounds } = setup()
  await pass(1000)
  expect(rounds).toHaveLength(1)
  rounds[0]!.done()
  await pass(0)
  expect(rounds).toHaveLength(2)
})

test('an outage is told once, and so is its end', async () => {
  const { rounds, said } = setup()
  for (const index of [0, 1, 2]) {
    rounds[index]!.fail()
    await pass(100)
  }
  expect(said).toEqual(['store-unavailable'])
  rounds[3]!.done()
  await pass(100)
  rounds[4]!.done()
  await pass(100)
  expect(said).toEqual(['store-unavailable', 'recovered'])
})

test('behind a round that failed the next comes sooner, if it is to, until one has gone well', async () => {
  const { rounds } = setup(20)
  rounds[0]!.fail()
  await pass(20)
  expect(rounds).toHaveLength(2)
  rounds[1]!.fail()
  await pass(20)
  expect(rounds).toHaveLength(3)
  rounds[2]!.done()
  await pass(99)
  expect(rounds).toHaveLength(3)
  await pass(1)
  expect(rounds).toHaveLength(4)
})

test('stopped between two rounds, none follows', async () => {
  const { rounds, stop } = setup()
  rounds[0]!.done()
  await pass(1)
  await stop()
  await pass(1000)
  expect(rounds).toHaveLength(1)
  expect(vi.getTimerCount()).toBe(0)
})

test('stopped in the middle of a round, it resolves at the end of that round, and a failure then is nobody’s business', async () => {
  const { rounds, said, stop } = setup()
  let over = false
  const stopping = stop().then(() => {
    over = true
  })
  await pass(500)
  expect(over).toBe(false)
  rounds[0]!.fail()
  await stopping
  await pass(500)
  expect(rounds).toHaveLength(1)
  expect(said).toEqual([])
})
