import { expect, test } from 'vitest'
import { TaskCounts } from './task-counts.ts'

const nothing = {
  requests: 0,
  held: 0,
  hops: 0,
  hopFailures: 0,
  lookups: 0,
  faults: new Map(),
  openings: 0,
  openingTimes: [],
  openingsRefused: new Map(),
  bytesIn: 0,
  bytesOut: 0,
  agentsMoved: 0,
  drainMs: undefined,
}

test('what was counted is taken once', () => {
  const counts = new TaskCounts()
  for (let i = 0; i < 3; i += 1) counts.request()
  counts.held()
  counts.hop()
  counts.hop()
  counts.hopFailed()
  for (let i = 0; i < 4; i += 1) counts.lookup()
  counts.fault('tunnel-not-found')
  counts.fault('tunnel-not-found')
  counts.fault('origin-refused')
  counts.opening(1)
  counts.openingRefused('ticket-refused')
  counts.agentMoved()
  counts.drained(61_000)
  expect(counts.take([])).toEqual({
    requests: 3,
    held: 1,
    hops: 2,
    hopFailures: 1,
    lookups: 4,
    faults: new Map([
      ['tunnel-not-found', 2],
      ['origin-refused', 1],
    ]),
    openings: 1,
    openingTimes: [1],
    openingsRefused: new Map([['ticket-refused', 1]]),
    bytesIn: 0,
    bytesOut: 0,
    agentsMoved: 1,
    drainMs: 61_000,
  })
  expect(counts.take([])).toEqual(nothing)
})

test('each byte of a channel is counted once, while it stands and when it is over', () => {
  const counts = new TaskCounts()
  const channel = { traffic: { in: 100, out: 10 } }
  const other = { traffic: { in: 1, out: 2 } }
  expect(counts.take([channel, other])).toMatchObject({ bytesIn: 101, bytesOut: 12 })
  expect(counts.take([channel, other])).toMatchObject({ bytesIn: 0, bytesOut: 0 })
  channel.traffic = { in: 150, out: 15 }
  counts.channelOver(channel.traffic)
  expect(counts.take([other])).toMatchObject({ bytesIn: 50, bytesOut: 5 })
  expect(counts.take([other])).toEqual(nothing)
})
