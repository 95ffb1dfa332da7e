/** What every place promises about leases and revocations. */
import { LEASE_MS } from '@postern/protocol/limits'
import { openStore, readEviction, type Stores } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import type { OpenPlace } from './place.ts'
import { idsInOrder, NOW, range, task, unique } from './samples.ts'
import { putItem } from './stored-item.ts'

export function taskContract(place: () => OpenPlace): void {
  const newId = idsInOrder()
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })

  test('revocations are read in order from where one last was', async () => {
    const keys = range(5).map(() => unique('key'))
    const start = NOW + 1_000_000
    for (const [i, key] of keys.entries()) {
      await stores.revocations.add({ what: 'user', key, notBefore: start, now: start + i, newId })
    }
    const all = (await stores.revocations.since('')).filter(({ key }) => keys.includes(key))
    expect(all.map(({ key }) => key)).toEqual(keys)
    const rest = await stores.revocations.since(all[1]?.cursor ?? '')
    expect(rest.map(({ key }) => key)).toEqual(keys.slice(2))
  })

  test('a revocation of a form that is not known here is told, and keeps none of the others from being read', async () => {
    const keys = range(2).map(() => unique('key'))
    const start = NOW + 2_000_000
    const strange = `${String(start + 1).padStart(15, '0')}#${unique('strange')}`
    for (const [i, key] of keys.entries()) {
      await stores.revocations.add({ what: 'user', key, notBefore: start, now: start + 2 * i, newId })
    }
    await putItem(place(), { pk: 'REVOKE', sk: strange, what: 'planet' })
    const told: string[] = []
    const read = await stores.revocations.since('', (cursor) => told.push(cursor))
    expect(read.map(({ key }) => key).filter((key) => keys.includes(key))).toEqual(keys)
    expect(told).toContain(strange)
  })

  test('of 50 processes that take one task id at once exactly one has the lease', async () => {
    const call = task()
    const outcomes = await Promise.all(range(50).map((i) => stores.tasks.renew({ ...call, bootId: `boot-${i}` })))
    expect(outcomes.filter((each) => each === 'renewed')).toHaveLength(1)
  })

  test('a lease is renewed by its process, and another one waits to the millisecond until it is over', async () => {
    const call = task()
    const other = { ...call, bootId: 'boot-2' }
    expect(await stores.tasks.renew(call)).toBe('renewed')
    expect(await stores.tasks.renew({ ...call, now: NOW + 5000, tunnels: 3 })).toBe('renewed')
    expect(await stores.tasks.list()).toContainEqual({
      ...{ taskId: call.taskId, bootId: 'boot-1', addr: call.addr, draining: false, version: '0.1.0' },
      ...{ tunnels: 3, leaseUntil: NOW + 5000 + LEASE_MS },
    })
    const over = NOW + 5000 + LEASE_MS
    expect(await stores.tasks.renew({ ...other, now: over })).toBe('refused')
    expect(await stores.tasks.renew({ ...other, now: over + 1 })).toBe('renewed')
    expect(await stores.tasks.renew({ ...call, now: over + 2 })).toBe('refused')
  })

  test('what others leave for a task stays until it is heeded, whatever it renews, and is for that process alone', async () => {
    const call = task()
    const { taskId, bootId } = call
    await stores.tasks.renew(call)
    const words = range(50).map((i) => ({
      connId: `c${i}`,
      byInstance: 'i',
      by: 'desk "7"',
      why: 'superseded' as const,
    }))
    const left = await Promise.all(words.map((eviction) => stores.tasks.evict({ taskId, bootId, eviction })))
    expect(new Set(left)).toEqual(new Set([true]))
    expect(await stores.tasks.evict({ taskId, bootId: 'another', eviction: words[0]! })).toBe(false)
    expect(await stores.tasks.evict({ taskId: unique('gone'), bootId, eviction: words[0]! })).toBe(false)
    await stores.tasks.renew({ ...call, now: NOW + 1 })
    // Harmless when repeated.
    await stores.tasks.evict({ taskId, bootId, eviction: words[0]! })
    const row = async () => (await stores.tasks.list()).find((each) => each.taskId === taskId)
    const evictions = [...((await row())?.evictions ?? [])]
    expect(evictions.map(readEviction)).toEqual(expect.arrayContaining(words))
    expect(evictions).toHaveLength(50)
    await stores.tasks.heeded({ taskId, bootId, evictions: new Set(evictions.slice(0, 20)) })
    expect((await row())?.evictions?.size).toBe(30)
    await stores.tasks.heeded({ taskId, bootId: 'another', evictions: new Set(evictions) })
    expect((await row())?.evictions?.size).toBe(30)
    await stores.tasks.heeded({ taskId, bootId, evictions: new Set(evictions) })
    expect((await row())?.evictions).toBeUndefined()
  })

  test("a task that ends gives up its own lease and nobody else's", async () => {
    const call = task()
    await stores.tasks.renew(call)
    await stores.tasks.end({ taskId: call.taskId, bootId: 'boot-2' })
    expect((await stores.tasks.list()).map(({ taskId }) => taskId)).toContain(call.taskId)
    await stores.tasks.end(call)
    expect((await stores.tasks.list()).map(({ taskId }) => taskId)).not.toContain(call.taskId)
  })
}
