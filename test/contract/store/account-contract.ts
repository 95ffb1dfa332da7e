/** What every place promises about tokens, users, leases and revocations. */
import { LEASE_MS } from '@postern/protocol/limits'
import { openStore, type Stores } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import { diesAfter } from './broken-client.ts'
import type { OpenPlace } from './place.ts'
import { idsInOrder, NOW, range, task, token, unique } from './samples.ts'

export function accountContract(place: () => OpenPlace): void {
  const newId = idsInOrder()
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })
  const dying = (calls: number) => openStore({ ...place(), client: diesAfter(place().client, calls) })

  test('a token is found by its hash as it was made, active and never used', async () => {
    const made = token({ scopes: new Set(['tunnel', 'admin']) })
    await stores.tokens.create(made)
    expect(await stores.tokens.find(made.tokenHash)).toEqual({ ...made, tokenStatus: 'active' })
    expect(await stores.tokens.find(token().tokenHash)).toBeUndefined()
  })

  test('a token without patterns allows no name', async () => {
    const { subdomains: _, ...made } = token()
    await stores.tokens.create(made)
    expect((await stores.tokens.find(made.tokenHash))?.subdomains).toBeUndefined()
  })

  test('the day of use is kept, and noting it does not make a token that is gone', async () => {
    const made = token()
    await stores.tokens.create(made)
    await stores.tokens.touch({ tokenHash: made.tokenHash, day: '2027-01-15' })
    expect(await stores.tokens.find(made.tokenHash)).toMatchObject({ lastUsedDay: '2027-01-15' })
    const gone = token().tokenHash
    await stores.tokens.touch({ tokenHash: gone, day: '2027-01-15' })
    expect(await stores.tokens.find(gone)).toBeUndefined()
  })

  test.each([0, 1, 2])('a crash after %i calls of making a token leaves none that opens anything', async (calls) => {
    const made = token()
    await expect(dying(calls).tokens.create(made)).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(await stores.tokens.find(made.tokenHash)).toBeUndefined()
    await stores.tokens.create(made)
    expect(await stores.tokens.find(made.tokenHash)).toBeDefined()
  })

  test('a revoked token is revoked, stands in the list of revocations, and revoking it again is harmless', async () => {
    const made = token()
    await stores.tokens.create(made)
    const call = { tokenHash: made.tokenHash, now: NOW, newId }
    expect(await stores.tokens.revoke(call)).toBe(true)
    expect(await stores.tokens.revoke(call)).toBe(true)
    expect(await stores.tokens.find(made.tokenHash)).toMatchObject({ tokenStatus: 'revoked' })
    const listed = (await stores.revocations.since('')).filter(({ key }) => key === made.tokenHash)
    expect(listed).toMatchObject([
      { what: 'token', notBefore: NOW },
      { what: 'token', notBefore: NOW },
    ])
    expect(await stores.tokens.revoke({ ...call, tokenHash: token().tokenHash })).toBe(false)
  })

  test('a crash in the middle of a revocation leaves the token revoked, and a repetition lists it', async () => {
    const made = token()
    await stores.tokens.create(made)
    const call = { tokenHash: made.tokenHash, now: NOW, newId }
    await expect(dying(1).tokens.revoke(call)).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(await stores.tokens.find(made.tokenHash)).toMatchObject({ tokenStatus: 'revoked' })
    await stores.tokens.revoke(call)
    expect((await stores.revocations.since('')).some(({ key }) => key === made.tokenHash)).toBe(true)
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

  test('of 50 that make one user at once exactly one does, and a crash before it is healed by the next', async () => {
    const user = { username: unique('ann'), maxSubdomains: 2, maxTunnels: 2, createdAt: NOW }
    await expect(dying(1).users.create(user)).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(await stores.users.find(user.username)).toBeUndefined()
    const made = await Promise.all(range(50).map(() => stores.users.create(user)))
    expect(made.filter(Boolean)).toHaveLength(1)
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

  test("a task that ends gives up its own lease and nobody else's", async () => {
    const call = task()
    await stores.tasks.renew(call)
    await stores.tasks.end({ taskId: call.taskId, bootId: 'boot-2' })
    expect((await stores.tasks.list()).map(({ taskId }) => taskId)).toContain(call.taskId)
    await stores.tasks.end(call)
    expect((await stores.tasks.list()).map(({ taskId }) => taskId)).not.toContain(call.taskId)
  })
}
