import type { Subdomain } from '@postern/protocol/address'
import { AWAY_MS } from '@postern/protocol/limits'
import { expect, test, vi } from 'vitest'
import type { Tunnel } from '../channel/tunnel.ts'
import { LocalRoutes } from './local-routes.ts'

const name = 'demo' as Subdomain

/** What the routes need of a tunnel. */
const tunnel = () => ({ subdomain: name, replacedBy: vi.fn() }) as unknown as Tunnel

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
  withdrawFormer()
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
  routes.add(tunnel())()
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
  withdraw()
  routes.add(tunnel())
  withdraw()
  expect(routes.isAway(name)).toBe(false)
  expect(routes.get(name)).toBeDefined()
})
