import { expect, test } from 'vitest'
import { RequestRecord } from './request-record.ts'

const HEAD = { method: 'GET', host: 'demo.example.com', path: '/' }

/** A record that was begun, and its clock. */
function begin() {
  let now = 100
  const record = new RequestRecord('192.0.2.1', () => now)
  const at = record.begin('r', HEAD, 1, 'HTTP/1.1')
  return {
    record,
    at,
    pass(ms: number): number {
      now += ms
      return now
    },
  }
}

test.each([
  ['at once, over a way that nobody has measured', 0, undefined, 'origin;dur=12.3'],
  ['at once, over a way of 2 ms', 0, 2, 'channel;dur=2, origin;dur=10.3'],
  ['after a hold', 750, 2, 'hold;dur=750, channel;dur=2, origin;dur=10.3'],
  ['faster than the way was when it was measured', 0, 40, 'channel;dur=12.3, origin;dur=0'],
])('an answer %s', (_what, holdMs, roundTripMs, timing) => {
  const { record, pass } = begin()
  record.admitted(pass(holdMs), roundTripMs)
  pass(12.3)
  record.answered(200)
  expect(record.serverTiming).toBe(timing)
})

test('a hop has its place between hold and channel', () => {
  const { record, at, pass } = begin()
  record.admitted(at, 1)
  record.hopMs = 3
  pass(5)
  record.answered(200)
  expect(record.serverTiming).toBe('hop;dur=3, channel;dur=1, origin;dur=4')
})

test('where no answer came, it says how long was waited, and for what', () => {
  const { record, at, pass } = begin()
  expect(record.serverTiming).toBe('')
  record.admitted(at, 1)
  pass(60_000)
  expect(record.serverTiming).toBe('origin;dur=60000')
  const held = begin()
  held.pass(10_000)
  held.record.turnedAway()
  expect(held.record.serverTiming).toBe('hold;dur=10000')
})

test('the next request begins with nothing of the one before', () => {
  const { record, at, pass } = begin()
  record.admitted(at + 1, 1)
  record.answered(500)
  record.fault = 'origin-closed'
  record.bytesOut = 7
  record.over('cut')
  pass(10)
  record.begin('s', undefined, 3, 'HTTP/1.0')
  record.over('refused')
  expect(record).toMatchObject({ id: 's', status: 0, fault: undefined, bytesIn: 3, bytesOut: 0, holdMs: 0, totalMs: 0 })
  expect([record.answerMs, record.channelMs]).toEqual([-1, -1])
})
