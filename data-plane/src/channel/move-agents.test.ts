import { DRAIN_ASK_EVERY_MS, DRAIN_SPREAD_MS } from '@postern/protocol/limits'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { moveAgents } from './move-agents.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A channel that notes when it was asked, and what it was told. */
function channel(busy = 0) {
  const asked: { at: number; deadlineMs: number }[] = []
  let refusals = busy
  return {
    serving: true,
    get askedToMove() {
      return asked.length > 0
    },
    askToMove(deadlineMs: number) {
      if (refusals-- > 0) return false
      asked.push({ at: performance.now(), deadlineMs })
      return true
    },
    asked,
  }
}

function start(count: number, durationMs: number) {
  const channels = new Set(Array.from({ length: count }, () => channel()))
  const began = performance.now()
  let drawn = 0
  const end = moveAgents({
    tunnels: () => channels,
    deadline: began + durationMs,
    now: () => performance.now(),
    random: () => (drawn++ % count) / count,
  })
  const times = () => [...channels].flatMap(({ asked }) => asked.map(({ at }) => at - began)).sort((a, b) => a - b)
  return { channels, end, times, began }
}

test('each is asked once, spread evenly, in a time that grows with their number', () => {
  const { times, end } = start(100, 1_000_000)
  vi.advanceTimersByTime(100 * DRAIN_ASK_EVERY_MS + DRAIN_ASK_EVERY_MS)
  expect(times()).toHaveLength(100)
  expect(times()[50]).toBeGreaterThan(45 * DRAIN_ASK_EVERY_MS)
  expect(times()[50]).toBeLessThan(55 * DRAIN_ASK_EVERY_MS)
  vi.advanceTimersByTime(1_000_000)
  expect(times()).toHaveLength(100)
  end()
})

test('however many they are, all are asked within DRAIN_SPREAD_MS, and within half of what there is', () => {
  const many = start(5000, 1_000_000)
  vi.advanceTimersByTime(DRAIN_SPREAD_MS + DRAIN_ASK_EVERY_MS)
  expect(many.times()).toHaveLength(5000)
  many.end()
  const short = start(5000, 10_000)
  vi.advanceTimersByTime(5000 + DRAIN_ASK_EVERY_MS)
  expect(short.times()).toHaveLength(5000)
  short.end()
})

test('each is told how much time is left then; one that comes meanwhile is asked at once, one that has gone is not', () => {
  const { channels, end, began } = start(2, 1000)
  const late = channel()
  const gone = { ...channel(), serving: false, asked: [] }
  channels.add(late)
  channels.add(gone as never)
  vi.advanceTimersByTime(3 * DRAIN_ASK_EVERY_MS)
  expect(gone.asked).toEqual([])
  for (const { asked } of [...channels].slice(0, 3)) {
    expect(asked).toHaveLength(1)
    expect(asked[0]!.deadlineMs).toBeCloseTo(1000 - (asked[0]!.at - began))
  }
  end()
})

test('one whose control stream is full is asked again; after the end nobody is', () => {
  const { channels, end } = start(1, 1_000_000)
  const busy = channel(2)
  channels.add(busy)
  vi.advanceTimersByTime(3 * DRAIN_ASK_EVERY_MS)
  expect(busy.asked).toHaveLength(1)
  end()
  const late = channel()
  channels.add(late)
  vi.advanceTimersByTime(10 * DRAIN_ASK_EVERY_MS)
  expect(late.asked).toEqual([])
})
