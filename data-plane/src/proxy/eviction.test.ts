import { SLOW_VISITOR_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { chooseEvicted, type Evictable } from './eviction.ts'

const route = new ScriptedRoute()
const elsewhere = new ScriptedRoute()

interface Had {
  age?: number
  slow?: number
  idle?: number
  of?: ScriptedRoute
}

const user = (addressKey: string, { age = 0, slow = 0, idle = 0, of = route }: Had = {}): Evictable => ({
  addressKey,
  uses: (wanted) => wanted === of,
  streamAge: Math.max(age, slow, idle),
  slowFor: slow,
  idleFor: idle,
  evict: expect.unreachable,
  terminate: expect.unreachable,
})
const crowd = (addressKey: string, count: number, had?: Had): Evictable[] =>
  Array.from({ length: count }, () => user(addressKey, had))

test('whoever has been slow the longest, whosever address it is', () => {
  const slowest = user('b', { slow: 3 * SLOW_VISITOR_MS })
  const visitors = [...crowd('a', 5, { slow: 2 * SLOW_VISITOR_MS }), slowest, user('c', { age: 1e9 })]
  expect(chooseEvicted(visitors, route, 'b')).toBe(slowest)
})

test('nobody who has been slow for a moment only', () => {
  expect(chooseEvicted(crowd('a', 3, { slow: SLOW_VISITOR_MS - 1 }), route, 'a')).toBeUndefined()
})

test('nobody of another tunnel', () => {
  const visitors = crowd('a', 3, { slow: 2 * SLOW_VISITOR_MS, of: elsewhere })
  expect(chooseEvicted(visitors, route, 'b')).toBeUndefined()
})

test('a crowd from one address gives way to another address, its oldest first', () => {
  const oldest = user('a', { age: 2 * SLOW_VISITOR_MS })
  const visitors = [user('b', { age: 1e9 }), ...crowd('a', 2, { age: SLOW_VISITOR_MS }), oldest]
  expect(chooseEvicted(visitors, route, 'c')).toBe(oldest)
})

test.each<[why: string, visitors: Evictable[]]>([
  ['to one of its own', crowd('mine', 3, { age: 1e9 })],
  ['as long as it has no more than half', [...crowd('a', 2, { age: 1e9 }), ...crowd('b', 2, { age: 1e9 })]],
  ['while all of it has just begun', crowd('a', 3, { age: SLOW_VISITOR_MS - 1 })],
])('a crowd does not give way %s', (_why, visitors) => {
  expect(chooseEvicted(visitors, route, 'mine')).toBeUndefined()
})
