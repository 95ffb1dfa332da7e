import { expect, test } from 'vitest'
import { type RouteUser, RouteUsers } from './route-users.ts'

const user = (addressKey: string): RouteUser => ({
  place: -1,
  addressKey,
  streamAge: 0,
  slowFor: 0,
  idleFor: 0,
  evict: () => {},
  terminate: () => {},
})
const keysOf = (users: RouteUsers) => [...users].map(({ addressKey }) => addressKey).sort()

test('whatever is taken out, the others stay', () => {
  for (const out of ['a', 'b', 'c']) {
    const users = new RouteUsers()
    const all = ['a', 'b', 'c'].map(user)
    for (const one of all) users.add(one)
    const gone = all.find(({ addressKey }) => addressKey === out)!
    users.delete(gone)
    users.delete(gone)
    expect([users.size, keysOf(users)]).toEqual([2, ['a', 'b', 'c'].filter((key) => key !== out)])
    for (const one of all) users.delete(one)
    expect(users.size).toBe(0)
  }
})

test('one that was never in it, or is in another, takes nothing out', () => {
  const [here, there] = [new RouteUsers(), new RouteUsers()]
  const [a, b] = [user('a'), user('b')]
  here.add(a)
  there.add(b)
  here.delete(b)
  here.delete(user('c'))
  expect([keysOf(here), keysOf(there)]).toEqual([['a'], ['b']])
})

test('every one is visited once, though each leaves as it is visited', () => {
  const users = new RouteUsers()
  for (const key of ['a', 'b', 'c', 'd']) users.add(user(key))
  const visited: string[] = []
  for (const one of users) {
    visited.push(one.addressKey)
    users.delete(one)
  }
  expect([visited.sort(), users.size]).toEqual([['a', 'b', 'c', 'd'], 0])
})
