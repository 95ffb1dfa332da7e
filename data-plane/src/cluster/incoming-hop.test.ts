import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import {
  IDLE_EXCHANGE_MS,
  IDLE_STREAM_MS,
  ONE_AT_A_TIME_MS,
  QUEUED_PER_TUNNEL,
  SLOW_VISITOR_MS,
  STREAM_WAIT_MS,
} from '@postern/protocol/limits'
import type { RawStream } from '@postern/protocol/mux'
import { expect, onTestFinished, test, vi } from 'vitest'
import { HOP_ANSWER, writePreamble } from '../route/hop-preamble.ts'
import type { Failure } from '../route/route.ts'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { ScriptedTunnel, type TunnelStream } from '../testing/scripted-tunnel.ts'
import { receiveHop } from './incoming-hop.ts'

class PeerStream extends ScriptedStream implements RawStream {
  readonly id: number
  failure: Failure | undefined
  constructor(id: number) {
    super()
    this.id = id
  }

  /** As a stream of the multiplexer: behind its end it takes nothing, and never becomes writable. */
  override write(chunk: Buffer): boolean {
    return this.state === 'open' && super.write(chunk)
  }
}

const TAKEN = String.fromCharCode(HOP_ANSWER.taken)
const DRAINING = String.fromCharCode(HOP_ANSWER.draining)
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A node with a tunnel of so many streams, and the requests that another node forwards to it. */
function setup(ceiling: number) {
  const clock = { ms: 1000 }
  const now = (): number => clock.ms
  const tunnel = new ScriptedTunnel(ceiling, now)
  const state = { draining: false, here: true }
  let streams = 0
  /** A stream arrives that begins with these bytes. */
  const deliver = (bytes: Buffer): PeerStream => {
    streams += 1
    const stream = new PeerStream(2 * streams - 1)
    receiveHop(
      stream,
      {
        routes: { ofClaim: () => (state.here ? { route: tunnel.route, tenant: 'ann' } : undefined) },
        fence: { closed: () => false, whenLifted: () => () => {} },
        draining: () => state.draining,
        now,
        judge: () => expect.unreachable('it has no rules'),
      },
      {
        admits: () => true,
        returned: (_id, failure) => {
          stream.failure = failure
        },
        withdrawn: () => {},
        violated: (fault) => expect.unreachable(fault.message),
      },
    )
    stream.listener!.data(bytes)
    return stream
  }
  /** A request of that visitor arrives. */
  const forward = (visitorAddress: string, request = 'request'): PeerStream => {
    const preamble = writePreamble({ name: 'demo' as Subdomain, epoch: 1, visitorAddress, requestId: 'r' })
    return deliver(Buffer.concat([preamble, Buffer.from(request)]))
  }
  return { clock, tunnel, state, forward, deliver }
}

test('a request that finds no stream waits for the next, with all that came meanwhile, and is answered only then', async () => {
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  const waiting = forward('192.0.2.2', 'head')
  waiting.listener!.data(Buffer.from(' and body'))
  waiting.listener!.end()
  expect([waiting.received, tunnel.route.queue.size]).toEqual(['', 1])
  tunnel.streams[0]!.resetLocally()
  await settled()
  expect(tunnel.streams[1]).toMatchObject({ received: 'head and body', state: 'ended' })
  expect([waiting.received, tunnel.route.queue.size]).toEqual([TAKEN, 0])
  tunnel.streams[1]!.answer('response')
  expect(waiting.received).toBe(`${TAKEN}response`)
})

test('what comes in many small pieces for a request that waits is not copied anew with each', async () => {
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  const waiting = forward('192.0.2.2', 'head')
  const concat = vi.spyOn(Buffer, 'concat')
  onTestFinished(() => concat.mockRestore())
  for (let count = 0; count < 1000; count += 1) waiting.listener!.data(Buffer.from('12345678'))
  tunnel.streams[0]!.resetLocally()
  await settled()
  expect(tunnel.streams[1]!.received).toBe(`head${'12345678'.repeat(1000)}`)
  const copied = concat.mock.results.reduce((sum, { value }) => sum + (value as Buffer).length, 0)
  expect(copied).toBeLessThanOrEqual(8004)
})

test('the turns go by the visitors’ addresses, and visitors of this node have theirs among them', async () => {
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  for (const n of [1, 2]) forward('192.0.2.2', `crowd ${n}`)
  forward('192.0.2.3', 'guest')
  expect(() => tunnel.route.lease('idle', { visitorAddress: '192.0.2.4', requestId: 'x' })).toThrow(
    new TunnelFault('streams-exhausted'),
  )
  for (let n = 0; n < 3; n++) {
    tunnel.streams[n]!.resetLocally()
    await settled()
  }
  expect(tunnel.streams.map(({ received }) => received)).toEqual(['request', 'crowd 1', 'guest', 'crowd 2'])
})

test('a request that the other node takes back leaves the queue', async () => {
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  forward('192.0.2.2').listener!.reset(new TunnelFault('stream-reset'))
  expect(tunnel.route.queue.size).toBe(0)
  tunnel.streams[0]!.resetLocally()
  await settled()
  expect(tunnel.streams).toHaveLength(1)
})

test('a request waits no longer than STREAM_WAIT_MS, and is not sent elsewhere then', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  const waiting = forward('192.0.2.2')
  vi.advanceTimersByTime(STREAM_WAIT_MS - 1)
  expect([waiting.received, waiting.failure]).toEqual(['', undefined])
  vi.advanceTimersByTime(1)
  expect(waiting).toMatchObject({
    received: TAKEN,
    state: 'reset',
    failure: { fault: new TunnelFault('streams-exhausted'), unsent: true, next: 'nowhere' },
  })
  expect([tunnel.route.queue.size, vi.getTimerCount()]).toEqual([0, 0])
})

test('a request that gets a stream, and one whose place is needed, leave no timer behind', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  const crowd = Array.from({ length: QUEUED_PER_TUNNEL }, () => forward('192.0.2.2'))
  forward('192.0.2.3')
  expect(crowd.at(-1)).toMatchObject({ state: 'reset', failure: { fault: new TunnelFault('streams-exhausted') } })
  expect(vi.getTimerCount()).toBe(QUEUED_PER_TUNNEL)
  tunnel.ceiling = Infinity
  tunnel.route.sweep()
  expect([tunnel.route.queue.size, vi.getTimerCount()]).toEqual([0, 0])
})

test.each([
  ['has begun to stop', { draining: true }, DRAINING],
  ['does not have the tunnel any more', { here: false }, String.fromCharCode(HOP_ANSWER.stale)],
])('a request that waited is refused if the node %s, so that it is sent elsewhere', async (_why, change, answer) => {
  const { tunnel, state, forward } = setup(1)
  forward('192.0.2.1')
  const waiting = forward('192.0.2.2')
  Object.assign(state, change)
  tunnel.streams[0]!.resetLocally()
  await settled()
  expect([waiting.received, waiting.state, tunnel.streams.length]).toEqual([answer, 'ended', 1])
})

test('a request that waits when its channel ends is to be sent elsewhere', async () => {
  const { tunnel, forward } = setup(1)
  forward('192.0.2.1')
  const waiting = forward('192.0.2.2')
  tunnel.openStream = () => {
    throw new TunnelFault('channel-closed')
  }
  tunnel.route.retire()
  await settled()
  expect(waiting).toMatchObject({ state: 'reset', failure: { unsent: true, next: 'elsewhere' } })
})

test('a stream by which nothing passes goes to another visitor: a minute at once, a crowd’s after its wait', async () => {
  const { tunnel, clock, forward } = setup(2)
  const idle = forward('192.0.2.1')
  clock.ms += IDLE_EXCHANGE_MS - 1
  const moving = forward('192.0.2.1')
  tunnel.streams[0]!.answer('part')
  clock.ms += 1
  tunnel.streams[1]!.answer('part')
  clock.ms += IDLE_EXCHANGE_MS - 1
  const next = forward('192.0.2.2')
  expect(idle).toMatchObject({
    state: 'reset',
    failure: { fault: { code: 'streams-exhausted' }, unsent: false, next: 'nowhere' },
  })
  expect([tunnel.streams[0]!.state, moving.state, next.received]).toEqual(['reset', 'open', TAKEN])
  const waiting = forward('192.0.2.3')
  tunnel.route.sweep()
  expect([waiting.received, tunnel.route.users.size]).toEqual(['', 2])
  clock.ms += SLOW_VISITOR_MS
  tunnel.route.sweep()
  expect([waiting.received, moving.state, tunnel.route.users.size]).toEqual([TAKEN, 'reset', 2])
})

test.each<[what: string, then: (forwarded: PeerStream, local: TunnelStream) => void]>([
  ['was answered', (_forwarded, local) => local.answer('response')],
  [
    'ended without an answer',
    (forwarded, local) => {
      forwarded.listener!.end()
      local.endLocally()
    },
  ],
  ['was taken back', (forwarded) => forwarded.listener!.reset(new TunnelFault('stream-reset'))],
  ['its agent reset', (_forwarded, local) => local.resetLocally()],
])('a forwarded request that %s does not keep others from kept streams', (_what, then) => {
  const { tunnel, clock, forward } = setup(9)
  const forwarded = forward('192.0.2.1')
  then(forwarded, tunnel.streams[0]!)
  clock.ms += ONE_AT_A_TIME_MS
  tunnel.route.lease('idle', { visitorAddress: '192.0.2.2', requestId: 'x' }).keep(IDLE_STREAM_MS)
  expect(tunnel.route.idleStreams).toBe(1)
})

test('a local server that has ended its answer and then resets frees the stream of the request at once', () => {
  const { tunnel, forward } = setup(1)
  const upload = forward('192.0.2.1')
  tunnel.streams[0]!.answer('answer')
  tunnel.streams[0]!.endLocally()
  expect(upload.state).toBe('ended')
  tunnel.streams[0]!.resetLocally()
  expect([upload.state, upload.failure?.fault.code]).toEqual(['reset', 'origin-closed'])
})

test('a forwarded request that waits for its answer does', () => {
  const { tunnel, clock, forward } = setup(9)
  forward('192.0.2.1')
  clock.ms += ONE_AT_A_TIME_MS
  tunnel.route.lease('idle', { visitorAddress: '192.0.2.2', requestId: 'x' }).keep(IDLE_STREAM_MS)
  expect(tunnel.route.idleStreams).toBe(0)
})

test('a notice for the person at the agent takes no stream of the tunnel, and its own stream ends', () => {
  const { tunnel, state, deliver } = setup(1)
  const heard: string[] = []
  Object.assign(tunnel.route, { notify: (about: string, detail: string) => heard.push(`${about} ${detail}`) })
  const notice = { about: 'cookie-dropped', detail: 'wide' } as const
  const named = { name: 'demo' as Subdomain, epoch: 1, visitorAddress: '', requestId: '', notice }
  expect(deliver(writePreamble(named)).state).toBe('ended')
  state.here = false
  expect(deliver(writePreamble(named)).state).toBe('ended')
  expect([heard, tunnel.streams.length]).toEqual([['cookie-dropped wide'], 0])
})
