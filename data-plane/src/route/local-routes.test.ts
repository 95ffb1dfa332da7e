import type { Subdomain } from '@postern/protocol/address'
import { AWAY_MS } from '@postern/protocol/limits'
import { describe, expect, test, vi } from 'vitest'
import type { Tunnel } from '../channel/tunnel.ts'
import { LocalRoutes } from './local-routes.ts'

const name = 'demo' as Subdomain

/** What the routes need of a tunnel. */
const tunnel = (holdMs = 10_000, changes: Partial<Record<keyof Tunnel, unknown>> = {}) =>
  ({
    subdomain: name,
    tenant: 'alice',
    holdMs,
    slot: 0,
    epoch: 1,
    instanceId: 'i',
    visitorStreams: 0,
    refusing: false,
    pools: false,
    replacedBy: vi.fn(),
    ...changes,
  }) as unknown as Tunnel

test('the newest tunnel of a name has it, and the former one is told', () => {
  const routes = new LocalRoutes(
    () => 0,
    () => undefined,
  )
  const former = tunnel()
  const newer = tunnel()
  const withdrawFormer = routes.add(former)
  const first = routes.get(name)
  routes.add(newer)
  expect(former.replacedBy).toHaveBeenCalledWith({ instanceId: 'i', label: undefined })
  const second = routes.get(name)
  expect(second).not.toBe(first)
  expect(second?.queue.tenant).toBe('alice')
  withdrawFormer('lost')
  expect(routes.get(name)).toBe(second)
  expect(routes.isAway(name)).toBe(false)
})

test('a withdrawn name is away for a while, then unknown', () => {
  let now = 1000
  const routes = new LocalRoutes(
    () => now,
    () => undefined,
  )
  expect(routes.isAway(name)).toBe(false)
  routes.add(tunnel())('lost')
  expect(routes.get(name)).toBeUndefined()
  now += AWAY_MS - 1
  routes.sweep()
  expect([routes.isAway(name), routes.tenantOf(name)]).toEqual([true, 'alice'])
  now += 1
  expect([routes.isAway(name), routes.tenantOf(name)]).toEqual([false, undefined])
})

test('a name that comes back is not away, nor is it when an older withdrawal is repeated', () => {
  const routes = new LocalRoutes(
    () => 0,
    () => undefined,
  )
  const withdraw = routes.add(tunnel())
  withdraw('lost')
  routes.add(tunnel())
  withdraw('lost')
  expect(routes.isAway(name)).toBe(false)
  expect(routes.get(name)).toBeDefined()
})

test('requests may wait for a lost tunnel as long as its agent said, each from when it comes', () => {
  let now = 1000
  const routes = new LocalRoutes(
    () => now,
    () => undefined,
  )
  expect(routes.holdMs(name)).toBe(0)
  const withdraw = routes.add(tunnel(700))
  expect(routes.holdMs(name)).toBe(0)
  withdraw('lost')
  now += AWAY_MS - 1
  expect(routes.holdMs(name)).toBe(700)
  now += 1
  expect(routes.holdMs(name)).toBe(0)
  routes.add(tunnel(0))('lost')
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, 0])
})

test('for a tunnel whose agent was stopped they may wait for one hold in all, counted from the end of its channel', () => {
  let now = 1000
  const routes = new LocalRoutes(
    () => now,
    () => undefined,
  )
  const withdraw = routes.add(tunnel(700))
  withdraw('left')
  now += 600
  expect(routes.holdMs(name)).toBe(100)
  withdraw('left')
  expect(routes.holdMs(name)).toBe(700)
  now += 700
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, 0])
})

test('a dismissed tunnel is not away, not even if it had left before', () => {
  const routes = new LocalRoutes(
    () => 0,
    () => undefined,
  )
  routes.add(tunnel())('dismissed')
  expect(routes.isAway(name)).toBe(false)
  const withdraw = routes.add(tunnel())
  withdraw('left')
  withdraw('dismissed')
  expect(routes.isAway(name)).toBe(false)
})

test('the end of a channel says nothing of a name that another one has had since', () => {
  let now = 0
  const routes = new LocalRoutes(
    () => now,
    () => undefined,
  )
  const former = routes.add(tunnel(700))
  former('left')
  const withdraw = routes.add(tunnel(500))
  former('left')
  expect(routes.isAway(name)).toBe(false)
  withdraw('lost')
  now += 100
  former('left')
  expect(routes.holdMs(name)).toBe(500)
})

test('whoever waits for a name is told once when it is back, unless that was taken back', () => {
  const routes = new LocalRoutes(
    () => 0,
    () => undefined,
  )
  const told: string[] = []
  routes.whenBack(name, (route) => void told.push(route === routes.get(name) ? 'the route' : 'another'))
  const forget = routes.whenBack(name, () => void told.push('forgotten'))
  forget()
  forget()
  routes.add(tunnel())('lost')
  routes.add(tunnel())
  expect(told).toEqual(['the route'])
})

describe('several channels of one name', () => {
  /** Members with so many streams each, and which one of them a route leads to. */
  function pool(...streams: number[]) {
    const routes = new LocalRoutes(
      () => 0,
      () => undefined,
    )
    const members = streams.map((visitorStreams, slot) => tunnel(700, { slot, visitorStreams }))
    const withdraw = members.map((member) => routes.add(member))
    const chosen = () => {
      const route = routes.get(name)
      return members.findIndex((member) => routes.routeOf(member) === route)
    }
    return { routes, members, withdraw, chosen }
  }

  test('a request goes to the one with the fewest exchanges under way', () => {
    const { chosen, members } = pool(3, 1, 2)
    expect([chosen(), chosen()]).toEqual([1, 1])
    Object.assign(members[1]!, { visitorStreams: 9 })
    expect(chosen()).toBe(2)
    Object.assign(members[2]!, { refusing: true })
    expect(chosen()).toBe(0)
  })

  test('of equals each comes in turn', () => {
    const { chosen } = pool(1, 1, 1)
    expect([1, 2, 3, 4, 5, 6].map(chosen)).toEqual([0, 1, 2, 0, 1, 2])
  })

  test('one that goes leaves the others, and the name is away only when the last has gone', () => {
    const { routes, withdraw, chosen } = pool(0, 0)
    withdraw[0]!('lost')
    expect([chosen(), chosen(), routes.isAway(name)]).toEqual([1, 1, false])
    withdraw[0]!('lost')
    expect(routes.isAway(name)).toBe(false)
    withdraw[1]!('lost')
    expect([routes.get(name), routes.isAway(name)]).toEqual([undefined, true])
  })

  test('the newer claim of a slot has it, whichever of the two is told here first', async () => {
    const { routes, members, withdraw } = pool(0, 0)
    const late = tunnel(700, { slot: 1, epoch: 0, instanceId: 'late' })
    const gone = routes.add(late)
    await Promise.resolve()
    expect(late.replacedBy).toHaveBeenCalledWith({ instanceId: 'i', label: undefined })
    expect(members[1]!.replacedBy).not.toHaveBeenCalled()
    gone('lost')
    withdraw[0]!('lost')
    expect(routes.get(name)).toBe(routes.routeOf(members[1]!))
    const newer = tunnel(700, { slot: 1, epoch: 2, instanceId: 'newer', label: 'desk' })
    routes.add(newer)
    expect(members[1]!.replacedBy).toHaveBeenCalledWith({ instanceId: 'newer', label: 'desk' })
    expect(routes.get(name)).toBe(routes.routeOf(newer))
  })
})

test('how busy a name is, is told of one that agents share, for as long as they do', () => {
  const routes = new LocalRoutes(
    () => 0,
    () => undefined,
  )
  routes.add(tunnel(0, { visitorStreams: 4 }))
  expect(routes.sharedLoad(name)).toBe(0)
  const leave = [3, 2].map((visitorStreams, slot) =>
    routes.add(tunnel(0, { visitorStreams, slot, epoch: 2, pools: true })),
  )
  expect(routes.sharedLoad(name)).toBe(2)
  leave[1]!('left')
  expect(routes.sharedLoad(name)).toBe(3)
  leave[0]!('left')
  expect(routes.sharedLoad(name)).toBe(0)
})
