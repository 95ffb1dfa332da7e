import type { Subdomain } from '@postern/protocol/address'
import { AWAY_MS } from '@postern/protocol/limits'
import { expect, test, vi } from 'vitest'
import type { Tunnel } from '../channel/tunnel.ts'
import { LocalRoutes } from './local-routes.ts'

const name = 'demo' as Subdomain

/** What the routes need of a tunnel. */
const tunnel = (holdMs = 10_000) => ({ subdomain: name, holdMs, replacedBy: vi.fn() }) as unknown as Tunnel

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
  expect(former.replacedBy).toHaveBeenCalledWith(newer)
  const second = routes.get(name)
  expect(second).not.toBe(first)
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
  expect(routes.isAway(name)).toBe(true)
  now += 1
  expect(routes.isAway(name)).toBe(false)
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
