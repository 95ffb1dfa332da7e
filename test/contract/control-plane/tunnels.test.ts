import type { TunnelView } from '@postern/protocol/api'
import { LEASE_MS } from '@postern/protocol/limits'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { newWorld, type World } from './call-table.ts'
import { START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'
import { endLease, openTunnel, renewLease } from './open-tunnel.ts'

let world: World
beforeEach(async () => {
  world = await newWorld()
})
afterEach(() => world.stop())

const list = async (bearer: string, query = '') =>
  (await world.call({ path: `/v1/tunnels${query}`, bearer })).json as { items: TunnelView[]; next?: string }
const names = async (bearer: string, query = '') =>
  (await list(bearer, query)).items.map(({ subdomain, slot }) => `${subdomain}#${slot}`)
const disconnect = (bearer: string, name: string) =>
  world.call({ method: 'DELETE', path: `/v1/tunnels/${name}`, bearer })
const cuts = async () => (await world.stores.revocations.since('')).map(({ what, key }) => `${what} ${key}`)
/** Whether everybody's list and the owner's own, which are read from two places, agree. */
const both = async (query = '') => [await names(world.root, query), await names(world.ann, query)]

describe('the list of tunnels', () => {
  test('shows a tunnel with its address and its task', async () => {
    await openTunnel(world.stores, { name: 'demo', username: 'ann', taskId: 'task-7', now: START - 1000 })
    const view = {
      ...{ subdomain: 'demo', slot: 0, username: 'ann', taskId: 'task-7' },
      url: 'https://demo.example.com',
      openedAt: new Date(START - 1000).toISOString(),
    }
    for (const bearer of [world.ann, world.root]) expect(await list(bearer)).toEqual({ items: [view] })
    expect(await list(world.root, '?username=ann')).toEqual({ items: [view] })
  })

  test('has one’s own alone; an administrator’s everybody’s, or those of one account', async () => {
    await openTunnel(world.stores, { name: 'anns', username: 'ann' })
    await openTunnel(world.stores, { name: 'bobs', username: 'bob' })
    expect(await names(world.ann)).toEqual(['anns#0'])
    expect(await names(world.root)).toEqual(['anns#0', 'bobs#0'])
    expect(await names(world.root, '?username=bob')).toEqual(['bobs#0'])
    expect(await names(world.root, '?username=nobody')).toEqual([])
  })

  test('leaves out what is off line, and names without a tunnel', async () => {
    const { connId, epoch } = await openTunnel(world.stores, { name: 'demo', username: 'ann' })
    await openTunnel(world.stores, { name: 'other', username: 'ann' })
    const gone = { name: 'demo', slot: 0, connId }
    await world.stores.routes.release({ ...gone, epoch, now: START })
    await world.stores.tunnels.remove(gone)
    await world.stores.reservations.reserve({
      ...{ name: 'idle', username: 'ann', ephemeral: false, now: START, newId: world.fresh },
    })
    expect(await both()).toEqual([['other#0'], ['other#0']])
  })

  test('leaves out the tunnels of a task that is gone, that was started anew, or whose lease is over', async () => {
    for (const task of ['a', 'b', 'c', 'd']) {
      await openTunnel(world.stores, { name: `on-${task}`, username: 'ann', taskId: task })
    }
    await endLease(world.stores, 'a')
    await endLease(world.stores, 'b')
    const renewed = { addr: '127.0.0.1:1', draining: false, tunnels: 0, version: 'test' }
    await world.stores.tasks.renew({ ...renewed, taskId: 'b', bootId: 'another', now: START })
    expect(await both()).toEqual([
      ['on-c#0', 'on-d#0'],
      ['on-c#0', 'on-d#0'],
    ])
    world.at.now = START + LEASE_MS - 1
    expect(await both()).toEqual([
      ['on-c#0', 'on-d#0'],
      ['on-c#0', 'on-d#0'],
    ])
    await renewLease(world.stores, 'd', world.at.now)
    world.at.now += 1
    expect(await both()).toEqual([['on-d#0'], ['on-d#0']])
  })

  test('shows each channel of a name once, however the pages fall', async () => {
    const expected: string[] = []
    for (const [name, slots] of Object.entries({ aaa: 8, bbb: 1, ccc: 3, ddd: 8 })) {
      for (let slot = 0; slot < slots; slot += 1) {
        await openTunnel(world.stores, { name, username: 'ann', slot })
        expected.push(`${name}#${slot}`)
      }
    }
    for (const bearer of [world.ann, world.root]) {
      for (const limit of [1, 2, 3, 7, 8, 20, 100]) {
        const seen: string[] = []
        let next: string | undefined
        do {
          const page = await list(bearer, `?limit=${limit}${next === undefined ? '' : `&cursor=${next}`}`)
          expect(page.items.length).toBeLessThanOrEqual(limit)
          seen.push(...page.items.map(({ subdomain, slot }) => `${subdomain}#${slot}`))
          next = page.next
        } while (next !== undefined)
        expect(seen).toEqual(expected)
      }
    }
  })
})

describe('disconnecting a tunnel', () => {
  test('has the channels of its name cut that are there by now', async () => {
    await openTunnel(world.stores, { name: 'demo', username: 'ann' })
    const { status, text } = await disconnect(world.ann, 'demo')
    expect([status, text]).toEqual([204, ''])
    expect(await world.stores.revocations.since('')).toMatchObject([
      { what: 'subdomain', key: 'demo', notBefore: START },
    ])
  })

  test('is its owner’s and an administrator’s alone', async () => {
    await openTunnel(world.stores, { name: 'demo', username: 'ann' })
    expectProblem(await disconnect(world.bob, 'demo'), 'not-found')
    expect(await cuts()).toEqual([])
    expect((await disconnect(world.root, 'demo')).status).toBe(204)
    expect(await cuts()).toEqual(['subdomain demo'])
  })

  test('finds none where the name is not there or has no tunnel', async () => {
    await world.stores.reservations.reserve({
      ...{ name: 'idle', username: 'ann', ephemeral: false, now: START, newId: world.fresh },
    })
    for (const bearer of [world.ann, world.root]) {
      for (const name of ['nothing', 'idle', 'www', 'A', '%00']) {
        expectProblem(await disconnect(bearer, name), 'not-found')
      }
    }
    expect(await cuts()).toEqual([])
  })

  test('works on a tunnel whose node is gone: a node that was taken over must not claim the name again', async () => {
    await openTunnel(world.stores, { name: 'orphan', username: 'ann', taskId: 'gone' })
    await endLease(world.stores, 'gone')
    for (const bearer of [world.ann, world.root]) expect((await disconnect(bearer, 'orphan')).status).toBe(204)
  })

  test('works on a name that was given back while its tunnel stayed', async () => {
    await openTunnel(world.stores, { name: 'demo', username: 'ann' })
    await world.stores.reservations.release({ name: 'demo', now: START })
    expect((await disconnect(world.ann, 'demo')).status).toBe(204)
  })
})
