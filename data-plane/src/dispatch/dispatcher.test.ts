import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import type { Route } from '../route/route.ts'
import { Dispatcher } from './dispatcher.ts'
import { Away, WaitingRoom } from './waiting-room.ts'

const route = (): Route => ({
  lease() {
    throw new Error('not leased in these tests')
  },
})

const demo = route()
const apex = route()
const routes = {
  get: (subdomain: Subdomain) => (subdomain === 'demo' ? demo : undefined),
  isAway: (subdomain: Subdomain) => subdomain === 'away',
}
const dispatcher = new Dispatcher({ base: 'example.com', routes, apex })

test.each(['demo.example.com', 'demo.example.com:8080', 'demo.example.com.'])('%s is the tunnel demo', (host) => {
  expect(dispatcher.find(host)).toBe(demo)
})

test('the base domain itself is the apex', () => {
  expect(dispatcher.find('example.com')).toBe(apex)
  expect(dispatcher.find('example.com:8080')).toBe(apex)
})

test('without an apex the base domain is nobody’s host', () => {
  const alone = new Dispatcher({ base: 'example.com', routes, apex: undefined })
  expect(alone.find('example.com')).toMatchObject({ code: 'host-unknown' })
})

test('a name whose agent has just left is away, not unknown', () => {
  expect(dispatcher.find('away.example.com')).toMatchObject({ code: 'tunnel-offline' })
})

test('a name that is not away is offline if somebody has it, and unknown if nobody does', () => {
  const elsewhere = {
    find: () => undefined,
    lessBusy: () => undefined,
    isAway: () => false,
    isOwned: (name: Subdomain) => name === 'owned',
  }
  const asking = new Dispatcher({ base: 'example.com', routes, elsewhere, apex })
  expect(asking.find('owned.example.com')).toMatchObject({ code: 'tunnel-offline' })
  expect(asking.find('other.example.com')).toMatchObject({ code: 'tunnel-not-found' })
})

test('where there is a room, requests wait in it for a name that is away, and for no other', () => {
  const entered: string[] = []
  const room = new WaitingRoom({
    routes: { holdMs: (name) => entered.push(name), tenantOf: () => 'alice', whenBack: () => () => {} },
    now: () => 0,
    after: () => () => {},
    counts: { held: () => {} },
  })
  const waiting = new Dispatcher({ base: 'example.com', routes, room, apex })
  expect(waiting.find('demo.example.com')).toBe(demo)
  expect(waiting.find('other.example.com')).toMatchObject({ code: 'tunnel-not-found' })
  const away = waiting.find('away.example.com:8080')
  expect(away).toBeInstanceOf(Away)
  ;(away as Away).hold({ addressKey: 'a', admit: () => {}, turnAway: () => {}, displaced: () => {} })
  expect([entered, room.size]).toEqual([['away'], 1])
})

test('of a name that agents share, requests go to another task once less is under way there; an idle channel here comes first', () => {
  const there = route()
  const asked: number[] = []
  let load = 0
  const elsewhere = {
    find: () => undefined,
    lessBusy(_name: Subdomain, than: number) {
      asked.push(than)
      return than > 1 ? there : undefined
    },
    isAway: () => false,
    isOwned: () => false,
  }
  const shared = new Dispatcher({
    base: 'example.com',
    routes: { ...routes, sharedLoad: () => load },
    elsewhere,
    apex,
  })
  const found = [0, 1, 2].map((now) => {
    load = now
    return shared.find('demo.example.com')
  })
  expect(found).toEqual([demo, demo, there])
  expect(found[2]).toBe(there)
  expect(asked).toEqual([1, 2])
})

test('a name that other tasks may hold is looked for on behalf of the address of the visitor', () => {
  const asked: unknown[] = []
  const elsewhere = {
    find: (...args: unknown[]) => void asked.push(args),
    lessBusy: (...args: unknown[]) => void asked.push(args),
    isAway: () => false,
    isOwned: () => false,
  }
  const shared = new Dispatcher({ base: 'example.com', routes: { ...routes, sharedLoad: () => 1 }, elsewhere, apex })
  shared.find('other.example.com', '192.0.2.1')
  shared.find('demo.example.com', '192.0.2.1')
  expect(asked).toEqual([
    ['other', '192.0.2.1'],
    ['demo', 1, '192.0.2.1'],
  ])
})

test('a name nobody serves is told from a host that is not ours', () => {
  expect(dispatcher.find('other.example.com')).toMatchObject({ code: 'tunnel-not-found' })
  for (const foreign of ['example.org', 'demoexample.com', 'demo.example.com.evil.org']) {
    const found = dispatcher.find(foreign)
    expect(found, foreign).toBeInstanceOf(TunnelFault)
    expect(found, foreign).toMatchObject({ code: 'host-unknown' })
  }
  expect(dispatcher.find('a.demo.example.com')).toMatchObject({ code: 'nested-name' })
})
