import { TunnelFault } from '@postern/protocol/fault'
import {
  FRESH_ENOUGH_MS,
  IDLE_STREAM_MS,
  IDLE_STREAMS_PER_TUNNEL,
  ONE_AT_A_TIME_MS,
  UNREAD_REQUEST_MS,
} from '@postern/protocol/limits'
import type { RawStream } from '@postern/protocol/mux'
import { expect, test } from 'vitest'
import { ScriptedStream } from '../testing/scripted-route.ts'
import type { Lease } from './route.ts'
import { StreamPool } from './stream-pool.ts'
import { StreamQueue } from './stream-queue.ts'

const asker = { visitorAddress: '127.0.0.1', requestId: 'r1' }

class Stream extends ScriptedStream implements RawStream {
  readonly id: number
  constructor(id: number) {
    super()
    this.id = id
  }
}

function setup(ceiling = Infinity) {
  const clock = { ms: 0 }
  const opened: Stream[] = []
  const source = {
    openStream() {
      if (opened.filter(({ state }) => state === 'open').length >= ceiling) throw new TunnelFault('streams-exhausted')
      opened.push(new Stream(opened.length * 2 + 2))
      return opened.at(-1)!
    },
    takeFailure: () => undefined,
  }
  return { clock, opened, route: new StreamPool(source, () => clock.ms, new StreamQueue()) }
}

test('a stream that was given back serves the next request', () => {
  const { route, opened } = setup()
  const first = route.lease('idle', asker)
  expect(first.reused).toBe(false)
  first.keep(IDLE_STREAM_MS)
  const second = route.lease('idle', asker)
  expect(second).toMatchObject({ stream: opened[0], reused: true })
  expect(opened).toHaveLength(1)
})

test('a request that must not be sent twice takes only a stream used a moment ago', () => {
  const { route, clock } = setup()
  route.lease('idle', asker).keep(IDLE_STREAM_MS)
  clock.ms = FRESH_ENOUGH_MS
  const young = route.lease('young', asker)
  expect(young.reused).toBe(true)
  young.keep(IDLE_STREAM_MS)
  clock.ms += FRESH_ENOUGH_MS + 1
  expect(route.lease('young', asker).reused).toBe(false)
  expect(route.lease('idle', asker).reused).toBe(true)
  expect(route.lease('fresh', asker).reused).toBe(false)
})

test('an idle stream is never used past its time, and the sweep ends it in peace', () => {
  const { route, clock, opened } = setup()
  route.lease('idle', asker).keep(500)
  clock.ms = 500
  expect(route.lease('idle', asker).reused).toBe(false)
  route.sweep()
  expect(opened[0]).toMatchObject({ state: 'ended' })
  expect(route.idleStreams).toBe(0)
  route.sweep()
  expect(opened[0]).toMatchObject({ state: 'reset' })
})

test('a local server that closes or speaks on an idle stream ends it', () => {
  const { route, opened } = setup()
  for (const act of [
    (stream: Stream) => stream.listener?.end(),
    (stream: Stream) => stream.answer('HTTP/1.1 408 Request Timeout\r\n\r\n'),
    (stream: Stream) => stream.listener?.reset(new TunnelFault('stream-reset')),
  ]) {
    route.lease('fresh', asker).keep(IDLE_STREAM_MS)
    expect(route.idleStreams).toBe(1)
    act(opened.at(-1)!)
    expect(route.idleStreams).toBe(0)
    expect(route.lease('idle', asker).reused).toBe(false)
  }
})

test('idle streams make room when the channel has no more to give', () => {
  const { route, opened } = setup(2)
  route.lease('fresh', asker).keep(IDLE_STREAM_MS)
  route.lease('fresh', asker)
  expect(route.lease('fresh', asker).stream).toBe(opened[2])
  expect(opened[0]).toMatchObject({ state: 'reset' })
  expect(() => route.lease('fresh', asker)).toThrow(expect.objectContaining({ code: 'streams-exhausted' }))
})

test('no more than so many idle streams are kept', () => {
  const { route } = setup()
  const leases = Array.from({ length: IDLE_STREAMS_PER_TUNNEL + 5 }, () => route.lease('fresh', asker))
  for (const lease of leases) lease.keep(IDLE_STREAM_MS)
  expect(route.idleStreams).toBe(IDLE_STREAMS_PER_TUNNEL)
})

test('a retired route keeps nothing, so that a leaving agent need not wait for idle streams', () => {
  const { route, opened } = setup()
  const busy = route.lease('fresh', asker)
  route.lease('fresh', asker).keep(IDLE_STREAM_MS)
  route.retire()
  expect(opened[1]).toMatchObject({ state: 'ended' })
  busy.keep(IDLE_STREAM_MS)
  expect(opened[0]).toMatchObject({ state: 'ended' })
  expect(route.idleStreams).toBe(0)
})

test('while a fresh stream waits for its first byte, idle ones are let go and none is kept', () => {
  const { route, clock, opened } = setup()
  const [first, second] = [route.lease('fresh', asker), route.lease('fresh', asker)]
  for (const lease of [first, second]) lease.answered?.()
  first.keep(IDLE_STREAM_MS)
  const waiting = route.lease('fresh', asker)
  clock.ms = ONE_AT_A_TIME_MS - 1
  route.sweep()
  expect(route.idleStreams).toBe(1)
  clock.ms = ONE_AT_A_TIME_MS
  route.sweep()
  second.keep(IDLE_STREAM_MS)
  expect(opened.slice(0, 2)).toMatchObject([{ state: 'ended' }, { state: 'ended' }])
  expect(route.idleStreams).toBe(0)
  waiting.answered?.()
  waiting.keep(IDLE_STREAM_MS)
  expect(route.idleStreams).toBe(1)
})

test('a fresh stream that was answered before an older one shows that the local server serves several at once', () => {
  const { route, clock } = setup()
  const [poll, other, later] = [route.lease('fresh', asker), route.lease('fresh', asker), route.lease('fresh', asker)]
  clock.ms = ONE_AT_A_TIME_MS
  other.answered?.()
  other.keep(IDLE_STREAM_MS)
  // The latest may still be the one that is kept waiting.
  expect(route.idleStreams).toBe(0)
  later.answered?.()
  later.keep(IDLE_STREAM_MS)
  poll.answered?.()
  poll.keep(IDLE_STREAM_MS)
  expect(route.idleStreams).toBe(2)
})

test.each<[how: string, end: (lease: Lease) => void]>([
  ['abandoned', (lease) => lease.reset()],
  ['left', (lease) => lease.leave()],
])('a fresh stream that was %s without an answer keeps no other from being kept', (_how, end) => {
  const { route, clock } = setup()
  const busy = route.lease('fresh', asker)
  busy.answered?.()
  const waiting = route.lease('fresh', asker)
  clock.ms = ONE_AT_A_TIME_MS
  end(waiting)
  busy.keep(IDLE_STREAM_MS)
  expect(route.idleStreams).toBe(1)
})

test('a stream that is left to a local server that still reads has its time, and every other one a second', () => {
  const { route, clock, opened } = setup()
  route.lease('fresh', asker).leave(true)
  route.lease('fresh', asker).leave()
  route.sweep()
  expect(opened).toMatchObject([{ state: 'ended' }, { state: 'reset' }])
  clock.ms = UNREAD_REQUEST_MS
  route.sweep()
  expect(opened[0]).toMatchObject({ state: 'reset' })
})
