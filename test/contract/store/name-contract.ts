/** What every place promises about names and quotas. */
import { COUNT_SETTLED_MS, EPHEMERAL_HOLD_MS, NAME_COOL_DOWN_MS } from '@postern/protocol/limits'
import { openStore, type ReserveCall, type Stores } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import { diesAfter, holdsBack } from './broken-client.ts'
import type { OpenPlace } from './place.ts'
import { idsInOrder, NOW, newUser, range, unique } from './samples.ts'

export function nameContract(place: () => OpenPlace): void {
  const newId = idsInOrder()
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })

  const reserve = (username: string, name: string, changes: Partial<ReserveCall> = {}, on = stores) =>
    on.reservations.reserve({ name, username, ephemeral: false, now: NOW, newId, ...changes })
  const outcome = (promise: Promise<{ username: string }>): Promise<string> =>
    promise.then(
      ({ username }) => username,
      (fault) => fault.code,
    )
  const counted = async (username: string) => Object.keys((await stores.users.find(username))?.subdomains ?? {}).sort()

  test('a name that is reserved again by its owner keeps its reservation', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    const first = await reserve(ann, name)
    expect(await reserve(ann, name, { now: NOW + 1 })).toEqual(first)
    expect(await stores.reservations.find(name)).toEqual(first)
  })

  test('a name has an owner from its reservation until it is given back, a random one until its hold is over', async () => {
    const [ann, lasting, random] = [await newUser(stores), unique('demo'), unique('demo')]
    const owners = (now: number) => Promise.all([lasting, random].map((name) => stores.reservations.ownerOf(name, now)))
    const owned = async (now: number) => (await owners(now)).map((owner) => owner !== undefined)
    expect(await owned(NOW)).toEqual([false, false])
    await reserve(ann, lasting)
    await reserve(ann, random, { ephemeral: true })
    expect(await owners(NOW)).toEqual([
      (await stores.reservations.find(lasting))!.reservationId,
      (await stores.reservations.find(random))!.reservationId,
    ])
    expect(await owned(NOW + EPHEMERAL_HOLD_MS)).toEqual([true, true])
    expect(await owned(NOW + EPHEMERAL_HOLD_MS + 1)).toEqual([true, false])
    await stores.reservations.release({ name: lasting, owner: ann, now: NOW })
    expect(await owned(NOW + 1)).toEqual([false, true])
  })

  test('a name of somebody else is taken, and does not count for whoever asked', async () => {
    const [ann, bob, name] = [await newUser(stores), await newUser(stores), unique('demo')]
    await reserve(ann, name)
    await expect(reserve(bob, name)).rejects.toMatchObject({ code: 'subdomain-taken' })
    expect(await counted(bob)).toEqual([])
  })

  test('of 50 accounts that want one name at once exactly one gets it, and only that one is charged', async () => {
    const name = unique('demo')
    const users = await Promise.all(range(50).map(() => newUser(stores)))
    const outcomes = await Promise.all(users.map((username) => outcome(reserve(username, name))))
    const winner = (await stores.reservations.find(name))?.username
    expect(outcomes.filter((each) => each !== 'subdomain-taken')).toEqual([winner])
    for (const username of users) expect(await counted(username)).toEqual(username === winner ? [name] : [])
  })

  test('50 calls of one account for one new name all get the same reservation', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    const reservations = await Promise.all(range(50).map(() => reserve(ann, name)))
    expect(new Set(reservations.map(({ reservationId }) => reservationId)).size).toBe(1)
    expect(await counted(ann)).toEqual([name])
  })

  test('50 calls at once for 50 names give an account exactly as many as it may have', async () => {
    const ann = await newUser(stores, 7)
    const names = range(50).map(() => unique('demo'))
    const outcomes = await Promise.all(names.map((name) => outcome(reserve(ann, name))))
    expect(outcomes.filter((each) => each === ann)).toHaveLength(7)
    expect(outcomes.filter((each) => each === 'subdomain-quota')).toHaveLength(43)
    const owned = await Promise.all(names.map((name) => stores.reservations.find(name)))
    expect(owned.filter((reservation) => reservation?.username === ann)).toHaveLength(7)
  })

  test('a name that is counted but still on its way to being reserved is not swept by a rival call', async () => {
    const [ann, name] = [await newUser(stores, 1), unique('demo')]
    const slow = holdsBack(place().client, 'PutItemCommand')
    const first = reserve(ann, name, {}, openStore({ ...place(), client: slow.client }))
    await slow.reached
    await expect(reserve(ann, unique('demo'))).rejects.toMatchObject({ code: 'subdomain-quota' })
    slow.letGo()
    expect((await first).name).toBe(name)
    expect(await counted(ann)).toEqual([name])
  })

  test('a quota of n takes the nth name and not the one after', async () => {
    const ann = await newUser(stores, 2)
    await reserve(ann, unique('demo'))
    await reserve(ann, unique('demo'))
    await expect(reserve(ann, unique('demo'))).rejects.toMatchObject({ code: 'subdomain-quota' })
  })

  test('a name given back makes room at once, and waits a week for its owner', async () => {
    const [ann, bob, name] = [await newUser(stores, 1), await newUser(stores), unique('demo')]
    const first = await reserve(ann, name)
    expect(await stores.reservations.release({ name, owner: ann, now: NOW })).toBe(true)
    await reserve(ann, unique('demo'))
    const end = NOW + NAME_COOL_DOWN_MS
    await expect(reserve(bob, name, { now: end })).rejects.toMatchObject({ code: 'subdomain-taken' })
    const second = await reserve(bob, name, { now: end + 1 })
    expect(second.username).toBe(bob)
    expect(second.reservationId > first.reservationId).toBe(true)
  })

  test('within that week its owner has it back, under a later reservation', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    const first = await reserve(ann, name)
    await stores.reservations.release({ name, owner: ann, now: NOW })
    const second = await reserve(ann, name, { now: NOW + 1 })
    expect(second.reservationId > first.reservationId).toBe(true)
    expect(second.heldUntil).toBeUndefined()
    expect(await counted(ann)).toEqual([name])
  })

  test('only the owner gives a name back, and only once', async () => {
    const [ann, bob, name] = [await newUser(stores), await newUser(stores), unique('demo')]
    await reserve(ann, name)
    expect(await stores.reservations.release({ name, owner: bob, now: NOW })).toBe(false)
    expect(await stores.reservations.release({ name, owner: ann, now: NOW })).toBe(true)
    expect(await stores.reservations.release({ name, owner: ann, now: NOW + 1 })).toBe(false)
  })

  test("a random name is its owner's until the millisecond its hold ends", async () => {
    const [ann, bob, name] = [await newUser(stores), await newUser(stores), unique('demo')]
    await reserve(ann, name, { ephemeral: true })
    const end = NOW + EPHEMERAL_HOLD_MS
    await expect(reserve(bob, name, { now: end - 1 })).rejects.toMatchObject({ code: 'subdomain-taken' })
    await expect(reserve(bob, name, { now: end })).rejects.toMatchObject({ code: 'subdomain-taken' })
    expect((await reserve(bob, name, { now: end + 1 })).username).toBe(bob)
  })

  test('using a random name keeps it, and asking for it as a lasting one makes it last', async () => {
    const [ann, bob, name] = [await newUser(stores), await newUser(stores), unique('demo')]
    const first = await reserve(ann, name, { ephemeral: true })
    const later = NOW + EPHEMERAL_HOLD_MS - 1
    const second = await reserve(ann, name, { ephemeral: true, now: later })
    expect(second).toEqual({ ...first, heldUntil: later + EPHEMERAL_HOLD_MS })
    expect(await stores.reservations.find(name)).toEqual(second)
    const lasting = await reserve(ann, name, { now: later })
    expect(lasting).toMatchObject({ ephemeral: false, reservationId: first.reservationId })
    await expect(reserve(bob, name, { now: later * 2 })).rejects.toMatchObject({ code: 'subdomain-taken' })
    expect(await reserve(ann, name, { ephemeral: true, now: later })).toEqual(lasting)
  })

  test('random names that are over make room when the quota is full', async () => {
    const ann = await newUser(stores, 2)
    const old = unique('demo')
    await reserve(ann, old, { ephemeral: true })
    await reserve(ann, unique('demo'))
    await expect(reserve(ann, unique('demo'))).rejects.toMatchObject({ code: 'subdomain-quota' })
    const name = unique('demo')
    await reserve(ann, name, { now: NOW + EPHEMERAL_HOLD_MS + 1 })
    expect(await counted(ann)).toContain(name)
    expect(await counted(ann)).not.toContain(old)
  })

  test('nobody reserves for an account that does not exist or is disabled', async () => {
    const ann = await newUser(stores)
    await expect(reserve(unique('nobody'), unique('demo'))).rejects.toMatchObject({ code: 'user-disabled' })
    expect(await stores.users.update(ann, { disabled: true })).toMatchObject({ disabled: true })
    await expect(reserve(ann, unique('demo'))).rejects.toMatchObject({ code: 'user-disabled' })
  })

  /** find, count, put, list: dying after each number of them that is less than all. */
  test.each([0, 1, 2, 3])(
    'a crash after %i calls of a reservation leaves nothing reserved that is not counted, and heals',
    async (calls) => {
      const [ann, bob, name] = [await newUser(stores, 1), await newUser(stores, 1), unique('demo')]
      const dying = openStore({ ...place(), client: diesAfter(place().client, calls) })
      await expect(reserve(ann, name, {}, dying)).rejects.toMatchObject({ code: 'store-unavailable' })
      const reserved = (await stores.reservations.find(name)) !== undefined
      if (reserved) expect(await counted(ann)).toEqual([name])
      else {
        await reserve(bob, name)
        // What was counted and never reserved is swept once it cannot be on its way any more.
        await reserve(ann, unique('other'), { now: NOW + COUNT_SETTLED_MS + 1 })
      }
      expect(await counted(ann)).toHaveLength(1)
    },
  )

  test('a crash in the middle of giving a name back leaves a count that is swept', async () => {
    const [ann, name] = [await newUser(stores, 1), unique('demo')]
    await reserve(ann, name)
    const dying = openStore({ ...place(), client: diesAfter(place().client, 1) })
    await expect(dying.reservations.release({ name, owner: ann, now: NOW })).rejects.toMatchObject({
      code: 'store-unavailable',
    })
    await reserve(ann, unique('demo'), { now: NOW + COUNT_SETTLED_MS + 1 })
    expect(await counted(ann)).toHaveLength(1)
  })
}
