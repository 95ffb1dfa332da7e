import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { ScriptedTunnel, type TunnelStream } from '../testing/scripted-tunnel.ts'
import { BoundStream } from './bound-stream.ts'

const asker = { visitorAddress: '192.0.2.1', requestId: 'r1' }

/** A stream that one connection has for itself, and that rests. */
function setup({ retired = false } = {}) {
  const clock = { ms: 100 }
  const now = (): number => clock.ms
  const tunnel = new ScriptedTunnel(9, now)
  const { route } = tunnel
  const lease = route.lease('fresh', asker)
  if (retired) route.retire()
  const bound = new BoundStream({ route, host: 'demo.example.com', addressKey: 'a', lease, now })
  return { clock, tunnel, route, lease, bound, stream: tunnel.streams[0]! }
}

test('it is taken once, by a request of its route', () => {
  const { route, lease, bound, stream, tunnel } = setup()
  expect([bound.present, [...route.users].includes(bound)]).toEqual([true, true])
  expect(bound.take(route)).toBe(lease)
  expect([bound.present, route.users.size, stream.state, tunnel.open]).toEqual([false, 0, 'open', 1])
  expect(bound.take(route)).toBeUndefined()
  bound.release()
  expect(stream.state).toBe('open')
})

test('its failure may be that of an earlier request', () => {
  const { route, bound } = setup()
  expect(bound.take(route)!.reused).toBe(true)
})

test('it ends when a request goes by another route', () => {
  const { bound, stream, route } = setup()
  expect(bound.take(new ScriptedRoute())).toBeUndefined()
  expect([bound.present, stream.state, route.users.size]).toEqual([false, 'reset', 0])
})

test.each<[what: string, act: (bound: BoundStream, stream: TunnelStream) => void]>([
  ['its connection ends', (bound) => bound.release()],
  ['another visitor needs it', (bound) => bound.evict()],
  ['the node stops', (bound) => bound.terminate()],
  ['the local server speaks unasked', (_bound, stream) => stream.answer('HTTP/1.1 408 Request Timeout\r\n\r\n')],
  ['the local server ends it', (_bound, stream) => stream.endLocally()],
  ['the agent resets it', (_bound, stream) => stream.listener!.reset(new TunnelFault('stream-reset'))],
])('it ends when %s, and nothing of it is left', (_what, act) => {
  const { bound, stream, route, tunnel } = setup()
  act(bound, stream)
  expect([bound.present, stream.state, route.users.size, tunnel.open]).toEqual([false, 'reset', 0, 0])
  expect(bound.take(route)).toBeUndefined()
})

test('it ends with its route, and on one that has ended already it does not begin', () => {
  const { bound, stream, route } = setup()
  route.retire()
  expect([bound.present, stream.state]).toEqual([false, 'reset'])
  const late = setup({ retired: true })
  expect([late.bound.present, late.stream.state, late.route.users.size]).toEqual([false, 'reset', 0])
})

test('once it was taken its route does not end it any more', () => {
  const { bound, stream, route } = setup()
  bound.take(route)
  route.retire()
  expect(stream.state).toBe('open')
})

test('it counts as kept waiting for as long as it rests', () => {
  const { bound, clock } = setup()
  clock.ms += 1500
  expect([bound.slowFor, bound.idleFor, bound.streamAge]).toEqual([1500, 1500, 1500])
})

test('its connection has had it since it was opened, however often it was used', () => {
  const { bound, clock, route, lease } = setup()
  clock.ms += 900
  bound.take(route)
  const again = new BoundStream({ route, host: bound.host, addressKey: 'a', lease, now: () => clock.ms })
  clock.ms += 900
  expect([again.slowFor, again.streamAge]).toEqual([900, 1800])
})
