import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { IDLE_STREAM_MS, PEER_STREAM_AGE_MS, REPLAY_BYTES, STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import { expect, test } from 'vitest'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { HOP_ANSWER, readPreamble } from './hop-preamble.ts'
import type { HopStream } from './hop-stream.ts'
import { PeerRoute } from './peer-route.ts'
import type { Failure } from './route.ts'

class Stream extends ScriptedStream implements RawStream {
  readonly id: number
  constructor(id: number) {
    super()
    this.id = id
  }

  say(...bytes: number[]): void {
    this.listener?.data(Buffer.from(bytes))
  }
}

const asker = { visitorAddress: '192.0.2.1', requestId: 'r1' }

function setup() {
  const opened: Stream[] = []
  const streams = new Set<HopStream>()
  const failures = new Map<number, Failure>()
  const seen = { busy: 0, refused: 0, hops: 0, ms: 0 }
  const hop = (): void => {
    seen.hops += 1
  }
  const route = new PeerRoute({
    hop: {
      open: true,
      openStream: () => {
        opened.push(new Stream(2 * opened.length + 1))
        return opened.at(-1)!
      },
      add: (stream) => void streams.add(stream),
      remove: (stream) => void streams.delete(stream),
      busy: (by) => {
        seen.busy += by
      },
      takeFailure: (id) => failures.get(id),
    },
    name: 'demo' as Subdomain,
    epoch: 7,
    now: () => seen.ms,
    refused: () => {
      seen.refused += 1
    },
    ending: () => {},
    counts: { hop },
  })
  return { route, opened, streams, failures, seen }
}

function listener() {
  const heard = { text: '', ended: false, reset: undefined as TunnelFault | undefined, writable: 0 }
  const events: StreamListener = {
    data: (chunk) => {
      heard.text += chunk.toString('latin1')
    },
    end: () => {
      heard.ended = true
    },
    reset: (why) => {
      heard.reset = why
    },
    writable: () => {
      heard.writable += 1
    },
  }
  return { heard, events }
}

test('a stream begins with the preamble of its first request, and gives nothing of the answer to whoever uses it', () => {
  const { route, opened, seen } = setup()
  const lease = route.lease('idle', asker)
  const { heard, events } = listener()
  lease.stream.listen(events)
  lease.stream.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  const sent = Buffer.from(opened[0]!.received, 'latin1')
  const { preamble, length } = readPreamble(sent)!
  expect(preamble).toEqual({ name: 'demo', epoch: 7, ...asker })
  expect(sent.toString('latin1', length)).toBe('GET / HTTP/1.1\r\n\r\n')
  expect(lease.tentative).toBe(true)
  opened[0]!.listener!.data(Buffer.from(`${String.fromCharCode(HOP_ANSWER.taken)}HTTP/1.1 200 OK`, 'latin1'))
  expect([heard.text, lease.tentative]).toEqual(['HTTP/1.1 200 OK', false])
  expect(seen).toMatchObject({ busy: 1, hops: 1 })
})

test('a stream that was taken serves further requests, without another preamble', () => {
  const { route, opened, seen } = setup()
  const first = route.lease('idle', asker)
  opened[0]!.say(HOP_ANSWER.taken)
  first.keep(IDLE_STREAM_MS)
  expect([seen.busy, route.outstanding]).toEqual([0, 0])
  const before = opened[0]!.received
  const second = route.lease('idle', asker)
  second.stream.write(Buffer.from('GET /2'))
  expect(second.reused).toBe(true)
  expect(opened).toHaveLength(1)
  expect(opened[0]!.received.slice(before.length)).toBe('GET /2')
})

test('a stream whose request was judged there carries no other', () => {
  const { route, opened } = setup()
  const first = route.lease('idle', asker)
  opened[0]!.say(HOP_ANSWER.judged)
  first.keep(IDLE_STREAM_MS)
  expect(opened[0]!.state).toBe('ended')
  route.lease('idle', asker)
  expect(opened).toHaveLength(2)
})

test('before the answer no more than the head and REPLAY_BYTES leave, and after it the rest in its order', () => {
  const { route, opened } = setup()
  const lease = route.lease('idle', asker)
  const { heard, events } = listener()
  lease.stream.listen(events)
  const before = opened[0]!.received.length
  expect(lease.stream.write(Buffer.from('head'))).toBe(true)
  expect(lease.stream.write(Buffer.alloc(REPLAY_BYTES - 1, 'a'))).toBe(true)
  expect(lease.stream.write(Buffer.from('bcd'))).toBe(false)
  lease.stream.end()
  expect(opened[0]!.received.length - before).toBe(4 + REPLAY_BYTES)
  expect(opened[0]!.state).toBe('open')
  opened[0]!.say(HOP_ANSWER.taken)
  expect(opened[0]!.received.endsWith('abcd')).toBe(true)
  expect(opened[0]!.state).toBe('ended')
  expect(heard.writable).toBe(1)
})

test.each([['stale' as const], ['draining' as const], ['fenced' as const]])(
  'an answer of %s is no answer to the visitor: not a byte was taken, and another route may',
  (answer) => {
    const { route, opened, seen, streams } = setup()
    const lease = route.lease('idle', asker)
    const { heard, events } = listener()
    lease.stream.listen(events)
    opened[0]!.say(HOP_ANSWER[answer])
    expect(heard.reset?.code).toBe('tunnel-moved')
    expect(heard.text).toBe('')
    expect(lease.failure()).toMatchObject({ unsent: true, next: 'elsewhere' })
    expect(seen).toMatchObject({ refused: 1, busy: 0 })
    expect(streams.size).toBe(0)
  },
)

test('an end without an answer is no end of a response', () => {
  const { route, opened } = setup()
  const { heard, events } = listener()
  route.lease('idle', asker).stream.listen(events)
  opened[0]!.listener!.end()
  expect([heard.ended, heard.reset?.code]).toEqual([false, 'channel-lost'])
})

test('whoever lost its tunnel says so of the stream first: the route is doubted at once', () => {
  const { route, opened, failures, seen } = setup()
  const lease = route.lease('idle', asker)
  const { events } = listener()
  lease.stream.listen(events)
  failures.set(1, { fault: new TunnelFault('channel-lost'), unsent: false, next: 'elsewhere' })
  opened[0]!.listener!.reset(new TunnelFault('stream-reset'))
  expect(lease.failure()).toMatchObject({ unsent: false, next: 'elsewhere' })
  expect(seen.refused).toBe(1)
})

test('one name has no more streams over a hop than over a channel, and each that goes makes room', () => {
  const { route, opened } = setup()
  const leases = Array.from({ length: STREAMS_PER_CHANNEL }, () => route.lease('fresh', asker))
  expect(() => route.lease('fresh', asker)).toThrow(expect.objectContaining({ code: 'streams-exhausted' }))
  leases[0]!.stream.reset()
  expect(opened[0]!.state).toBe('reset')
  route.lease('fresh', asker)
  expect(route.outstanding).toBe(STREAMS_PER_CHANNEL)
})

test('a stream that was opened a while ago is not kept, so that visitors of the other task get its place', () => {
  const { route, opened, seen } = setup()
  const lease = route.lease('fresh', asker)
  opened[0]!.say(HOP_ANSWER.taken)
  seen.ms = PEER_STREAM_AGE_MS - 1
  lease.keep(IDLE_STREAM_MS)
  const again = route.lease('idle', asker)
  expect([again.reused, opened.length]).toEqual([true, 1])
  seen.ms += 1
  again.keep(IDLE_STREAM_MS)
  expect(opened[0]!.state).toBe('ended')
  expect(route.lease('idle', asker).reused).toBe(false)
})

test('a stream that one visitor’s connection has for itself counts as under way only while it carries a request', () => {
  const { route, opened, seen } = setup()
  const lease = route.lease('fresh', asker)
  opened[0]!.say(HOP_ANSWER.taken)
  expect([seen.busy, route.outstanding]).toEqual([1, 1])
  lease.bind?.()
  expect([seen.busy, route.outstanding]).toEqual([0, 0])
  lease.wake?.()
  expect([seen.busy, route.outstanding]).toEqual([1, 1])
  lease.reset()
  expect([seen.busy, route.outstanding]).toEqual([0, 0])
})

test('a route that is dropped says so once, and those that wait for its streams ask again with each sweep', async () => {
  const { route } = setup()
  const heard: string[] = []
  const request = {
    addressKey: 'a',
    retry: () => {
      heard.push('retry')
      route.queue.enter(request)
    },
    displaced: () => {},
  }
  route.queue.enter(request)
  route.sweep()
  route.sweep()
  expect(heard).toEqual(['retry', 'retry'])
  route.whenRetired(() => heard.push('retired'))
  route.retire()
  route.retire()
  route.whenRetired(() => heard.push('retired already'))
  expect(heard.slice(2)).toEqual(['retired', 'retired already'])
  await Promise.resolve()
  expect(heard.at(-1)).toBe('retry')
})
