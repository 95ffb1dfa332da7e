import { expect, test } from 'vitest'
import { RequestRecord } from '../proxy/request-record.ts'
import { TaskCounts } from './task-counts.ts'

const countsOf = (standing: { traffic: { in: number; out: number } }[] = []) =>
  new TaskCounts({ standing: () => standing, linesDropped: () => 0 })

/** Its route went before an answer, and it got another one. */
function sentTwice(): RequestRecord {
  const record = new RequestRecord('192.0.2.1', () => 0)
  record.begin('r', { method: 'GET', host: 'demo.example.com', path: '/' }, 10, 'HTTP/1.1')
  record.admitted(0, undefined)
  record.admitted(0, undefined)
  return record
}

const nothing = {
  requests: 0,
  held: 0,
  retried: 0,
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
  linesDropped: 0,
}

test('what was counted is taken once', () => {
  const counts = countsOf()
  for (let i = 0; i < 3; i += 1) counts.request()
  counts.held()
  counts.requestOver(sentTwice())
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
  expect(counts.take()).toEqual({
    requests: 3,
    held: 1,
    retried: 1,
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
    linesDropped: 0,
  })
  expect(counts.take()).toEqual(nothing)
})

test('each byte of a channel is counted once, while it stands and when it is over', () => {
  const channel = { traffic: { in: 100, out: 10 } }
  const other = { traffic: { in: 1, out: 2 } }
  const standing = [channel, other]
  const counts = countsOf(standing)
  expect(counts.take()).toMatchObject({ bytesIn: 101, bytesOut: 12 })
  expect(counts.take()).toMatchObject({ bytesIn: 0, bytesOut: 0 })
  channel.traffic = { in: 150, out: 15 }
  counts.channelOver(channel.traffic)
  standing.shift()
  expect(counts.take()).toMatchObject({ bytesIn: 50, bytesOut: 5 })
  expect(counts.take()).toEqual(nothing)
})

test('what is taken is still there for whoever asks since the beginning', () => {
  const counts = countsOf()
  counts.request()
  counts.fault('origin-refused')
  counts.opening(30)
  counts.take()
  counts.request()
  counts.fault('origin-refused')
  counts.fault('tunnel-not-found')
  expect(counts.take()).toMatchObject({
    requests: 1,
    openings: 0,
    faults: new Map([
      ['origin-refused', 1],
      ['tunnel-not-found', 1],
    ]),
  })
  expect(counts.totals()).toMatchObject({
    requests: 2,
    openings: 1,
    faults: new Map([
      ['origin-refused', 2],
      ['tunnel-not-found', 1],
    ]),
  })
})

test('a request that is over counts by its class, with its bytes, its times and its fault', () => {
  let now = 1000
  const counts = countsOf()
  const record = new RequestRecord('192.0.2.1', () => now)
  const served = (status: number, originMs: number) => {
    record.admitted(record.begin('r', { method: 'GET', host: '', path: '/' }, 10, 'HTTP/1.1'), undefined)
    now += originMs
    record.answered(status)
    record.bytesOut = 100
    now += 1
    record.over('whole')
    counts.requestOver(record)
  }
  served(200, 3)
  served(204, 30)
  served(404, 3)
  record.begin('r', undefined, 7, 'HTTP/1.1')
  record.status = 400
  record.fault = 'request-invalid'
  record.over('refused')
  counts.requestOver(record)
  record.begin('r', undefined, 0, 'HTTP/1.1')
  record.over('abandoned')
  counts.requestOver(record)
  expect([...counts.overByClass]).toEqual([1, 0, 2, 0, 2, 0])
  expect([counts.visitorBytesIn, counts.visitorBytesOut]).toEqual([37, 300])
  expect([counts.requestTimes.count, counts.requestTimes.sum]).toEqual([5, 39])
  expect([counts.originTimes.count, counts.originTimes.sum]).toEqual([3, 36])
  expect(counts.totals().faults).toEqual(new Map([['request-invalid', 1]]))
})
