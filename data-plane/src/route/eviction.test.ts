import type { TunnelFault } from '@postern/protocol/fault'
import { IDLE_EXCHANGE_MS, SLOW_VISITOR_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { chooseEvicted, type Evictable, evictFor } from './eviction.ts'

interface Had {
  age?: number
  slow?: number
  idle?: number
}

const user = (addressKey: string, { age = 0, slow = 0, idle = 0 }: Had = {}): Evictable => ({
  addressKey,
  streamAge: Math.max(age, slow, idle),
  slowFor: slow,
  idleFor: idle,
  evict: () => expect.unreachable(),
  terminate: () => expect.unreachable(),
})
const crowd = (addressKey: string, count: number, had?: Had): Evictable[] =>
  Array.from({ length: count }, () => user(addressKey, had))
const newcomer = (addressKey: string, waitedMs = 0) => ({ addressKey, waitedMs })
const PATIENT = SLOW_VISITOR_MS

test('the slowest is evicted, whatever its address', () => {
  const slowest = user('b', { slow: 3 * SLOW_VISITOR_MS })
  const visitors = [...crowd('a', 5, { slow: 2 * SLOW_VISITOR_MS }), slowest, user('c', { age: 1e9 })]
  expect(chooseEvicted(visitors, newcomer('b'))).toBe(slowest)
})

test('who has been slow for a moment only is spared', () => {
  expect(chooseEvicted(crowd('a', 3, { slow: SLOW_VISITOR_MS - 1 }), newcomer('a', PATIENT))).toBeUndefined()
})

test('where nobody is slow, what has moved nothing for a minute is evicted, whatever its address', () => {
  const idlest = user('b', { idle: 2 * IDLE_EXCHANGE_MS })
  const visitors = [...crowd('a', 5, { idle: IDLE_EXCHANGE_MS }), idlest]
  expect(chooseEvicted(visitors, newcomer('b'))).toBe(idlest)
  const slow = user('c', { slow: SLOW_VISITOR_MS })
  expect(chooseEvicted([...visitors, slow], newcomer('b'))).toBe(slow)
})

test('the oldest of a crowd of which everything moves is evicted for another address that has waited', () => {
  const oldest = user('a', { age: 2 * SLOW_VISITOR_MS })
  const others = ['b', 'c', 'd'].flatMap((key) => crowd(key, 3, { age: 1e9 }))
  const visitors = [...others, ...crowd('a', 3, { age: SLOW_VISITOR_MS }), oldest]
  expect(chooseEvicted(visitors, newcomer('e', PATIENT))).toBe(oldest)
  expect(chooseEvicted(visitors, newcomer('e', PATIENT - 1))).toBeUndefined()
})

test('of several crowds the largest gives up what has moved nothing for the longest', () => {
  const idlest = user('a', { idle: 5 * SLOW_VISITOR_MS })
  const others = crowd('b', 9, { idle: 9 * SLOW_VISITOR_MS })
  const visitors = [...crowd('a', 9, { idle: SLOW_VISITOR_MS }), idlest, ...others]
  expect(chooseEvicted(visitors, newcomer('c', PATIENT))).toBe(idlest)
})

test.each<[why: string, visitors: Evictable[]]>([
  ['for one of its own', crowd('mine', 3, { age: 1e9 })],
  [
    'as long as it has no more than a quarter and all of it moves',
    ['a', 'b', 'c', 'd'].flatMap((key) => crowd(key, 3, { age: 1e9 })),
  ],
  ['while all of it has just begun', crowd('a', 3, { age: SLOW_VISITOR_MS - 1 })],
  [
    'for an address that has half as many',
    [...crowd('a', 4, { idle: 1e4 }), ...crowd('mine', 2), ...crowd('b', 4, { idle: 1e4 })],
  ],
])('a crowd gives up nothing %s', (_why, visitors) => {
  expect(chooseEvicted(visitors, newcomer('mine', PATIENT))).toBeUndefined()
})

test('the evicted one is ended with the reason, and the newcomer learns whether there was one', () => {
  const ended: string[] = []
  const ending = (had: Had): Evictable => ({ ...user('a', had), evict: ({ code }: TunnelFault) => ended.push(code) })
  expect(evictFor([ending({ slow: SLOW_VISITOR_MS })], newcomer('b'))).toBe(true)
  expect(evictFor([ending({ idle: IDLE_EXCHANGE_MS })], newcomer('b'))).toBe(true)
  expect(evictFor([user('a')], newcomer('b'))).toBe(false)
  expect(ended).toEqual(['body-timeout', 'streams-exhausted'])
})
