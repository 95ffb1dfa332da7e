import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readMetrics } from '../testing/metric-reader.ts'
import { reportMetrics } from './metric-report.ts'
import { TaskCounts } from './task-counts.ts'

const MINUTE = 60_000
/** A whole minute of the clock. */
const NOON = 1_800_000_000_000

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function begin(at: number) {
  vi.setSystemTime(at)
  const counts = new TaskCounts({ standing: () => [], linesDropped: () => 0 })
  const lines: string[] = []
  const end = reportMetrics({
    everyMs: MINUTE,
    take: () => counts.take(),
    gauges: () => ({ tunnels: 7, activeStreams: 0, heldBytes: 0, leaseAge: 0 }),
    write: (line) => lines.push(line),
    clock: Date.now,
  })
  /** Time and value of each report of this metric. */
  const told = (metric: string) =>
    lines
      .flatMap(readMetrics)
      .filter(({ name }) => name === metric)
      .map(({ at, values }) => [(at - NOON) / MINUTE, ...values])
  return { counts, end, told }
}

test('each minute of the clock gets one report, with what was counted in it', () => {
  const { counts, told } = begin(NOON + 10_000)
  counts.request()
  vi.advanceTimersByTime(50_000)
  counts.request()
  counts.request()
  vi.advanceTimersByTime(2 * MINUTE)
  expect(told('Requests')).toEqual([
    [0, 1],
    [1, 2],
  ])
  expect(told('Tunnels')).toEqual([
    [0, 7],
    [1, 7],
    [2, 7],
  ])
})

test('the first comes half a minute after the beginning at the earliest', () => {
  const { told } = begin(NOON + 30_001)
  vi.advanceTimersByTime(MINUTE)
  expect(told('Tunnels')).toEqual([])
  vi.advanceTimersByTime(MINUTE / 2)
  expect(told('Tunnels')).toEqual([[1, 7]])
})

test('a timer that comes a little early does not report its minute twice', () => {
  vi.setSystemTime(NOON)
  const lines: string[] = []
  let early = 0
  const counts = new TaskCounts({ standing: () => [], linesDropped: () => 0 })
  const end = reportMetrics({
    everyMs: MINUTE,
    take: () => counts.take(),
    gauges: () => ({ tunnels: 1, activeStreams: 0, heldBytes: 0, leaseAge: 0 }),
    write: (line) => lines.push(line),
    clock: () => Date.now() - early,
  })
  early = 3
  vi.advanceTimersByTime(3 * MINUTE + 10)
  const times = lines.flatMap(readMetrics).filter(({ name }) => name === 'Tunnels')
  expect(times.map(({ at }) => (at - NOON) / MINUTE)).toEqual([0, 1, 2])
  end()
})

test('the end is a last report of what is left, without gauges, and once', () => {
  const { counts, end, told } = begin(NOON)
  vi.advanceTimersByTime(MINUTE)
  counts.request()
  vi.advanceTimersByTime(20_000)
  end()
  end()
  vi.advanceTimersByTime(5 * MINUTE)
  expect(told('Requests')).toEqual([[1, 1]])
  expect(told('Tunnels')).toEqual([[0, 7]])
})
