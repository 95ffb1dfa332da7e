/** What every place promises about the lists of names, and about names that are given back. */
import { EPHEMERAL_HOLD_MS, NAME_COOL_DOWN_MS } from '@postern/protocol/limits'
import { openStore, type ReserveCall, type Stores } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import { diesAfter, holdsBack } from './broken-client.ts'
import type { OpenPlace } from './place.ts'
import { idsInOrder, NOW, newUser, range, unique } from './samples.ts'
import { purge, purgeAtOf, storedItem } from './stored-item.ts'
import { itemsOf, walk } from './walk.ts'

export function nameListContract(place: () => OpenPlace): void {
  const newId = idsInOrder()
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })

  const dying = (calls: number) => openStore({ ...place(), client: diesAfter(place().client, calls) })
  const reserve = (username: string, name: string, changes: Partial<ReserveCall> = {}, on = stores) =>
    on.reservations.reserve({ name, username, ephemeral: false, now: NOW, newId, ...changes })
  const counted = async (username: string) => Object.keys((await stores.users.find(username))?.subdomains ?? {}).sort()
  const namesOf = (reservations: readonly { name: string }[]) => reservations.map(({ name }) => name)
  const listed = async (prefix: string, limit = 50) => {
    const pages = await walk(stores.reservations.list, { limit, after: prefix.slice(0, -1) })
    return itemsOf(pages).filter(({ name }) => name.startsWith(prefix))
  }
  const listedOf = async (username: string, limit = 50) =>
    namesOf(itemsOf(await walk((call) => stores.reservations.listOf(username, call), { limit })))

  test('all names are listed in order, each once, whoever has them and whatever the size of the page', async () => {
    const [ann, bob, prefix] = [await newUser(stores), await newUser(stores), unique('zz')]
    const names = range(7).map((i) => `${prefix}-${i}`)
    for (const [i, name] of names.toReversed().entries()) {
      await reserve(i % 2 === 0 ? ann : bob, name, { ephemeral: i % 3 === 0 })
    }
    for (const limit of [1, 2, 3, 6, 7, 8]) expect(namesOf(await listed(prefix, limit))).toEqual(names)
    expect((await listed(prefix))[0]).toEqual(await stores.reservations.find(`${prefix}-0`))
  })

  test("a user's names are listed in order, page by page, and the last page has no next", async () => {
    const [ann, bob, prefix] = [await newUser(stores), await newUser(stores), unique('demo')]
    const names = range(5).map((i) => `${prefix}-${i}`)
    for (const name of names.toReversed()) await reserve(ann, name)
    await reserve(bob, `${prefix}-other`)
    const pages = await walk((call) => stores.reservations.listOf(ann, call), { limit: 2 })
    expect(pages.map(({ items }) => namesOf(items))).toEqual([names.slice(0, 2), names.slice(2, 4), names.slice(4)])
    const all = await stores.reservations.listOf(ann, { limit: 5 })
    expect(all.next).toBeUndefined()
    expect(all.items[0]).toEqual(await stores.reservations.find(`${prefix}-0`))
    expect(await listedOf(unique('nobody'))).toEqual([])
  })

  test('a name that was counted and never reserved, one given back and one that went to somebody else are not listed as theirs', async () => {
    const [ann, bob, prefix] = [await newUser(stores), await newUser(stores), unique('demo')]
    const name = (stem: string) => `${prefix}-${stem}`
    await expect(reserve(ann, name('a-never'), { ephemeral: true }, dying(2))).rejects.toThrow()
    await reserve(ann, name('b-lost'), { ephemeral: true })
    await reserve(bob, name('b-lost'), { now: NOW + EPHEMERAL_HOLD_MS + 1 })
    await reserve(ann, name('c-back'))
    await expect(dying(1).reservations.release({ name: name('c-back'), owner: ann, now: NOW })).rejects.toMatchObject({
      code: 'store-unavailable',
    })
    await reserve(ann, name('d-kept'))
    expect(await counted(ann)).toEqual(['a-never', 'b-lost', 'c-back', 'd-kept'].map(name))
    expect(await listedOf(ann)).toEqual([name('d-kept')])
    const first = await stores.reservations.listOf(ann, { limit: 2 })
    expect(first).toEqual({ items: [], next: name('b-lost') })
    expect(await listedOf(bob)).toEqual([name('b-lost')])
    const all = await listed(prefix)
    expect(all.map(({ username }) => username)).toEqual([bob, ann, ann])
  })

  test.each([false, true])(
    'a page of names that are purged is empty and still has a next (random: %s)',
    async (ephemeral) => {
      const [ann, prefix] = [await newUser(stores), unique('zz')]
      for (const i of range(3)) await reserve(ann, `${prefix}-${i}`, { ephemeral })
      for (const i of range(2)) await purge(place(), `SUB#${prefix}-${i}`, 'SUB')
      expect(await stores.reservations.list({ limit: 2, after: prefix })).toEqual({ items: [], next: `${prefix}-1` })
      expect(namesOf(await listed(prefix, 2))).toEqual([`${prefix}-2`])
    },
  )

  test.each([0, 1, 2, 3])(
    'a crash after %i calls of a reservation leaves no lasting name that is not listed',
    async (calls) => {
      const [ann, name] = [await newUser(stores), unique('demo')]
      await expect(reserve(ann, name, {}, dying(calls))).rejects.toMatchObject({ code: 'store-unavailable' })
      const reserved = (await stores.reservations.find(name)) !== undefined
      expect(namesOf(await listed(name))).toEqual(reserved ? [name] : [])
      await reserve(ann, name, { now: NOW + 1 })
      expect(namesOf(await listed(name))).toEqual([name])
    },
  )

  test.each([0, 1, 2])(
    'a crash after %i calls of making a random name last leaves it in the list for as long as it is held',
    async (calls) => {
      const [ann, name] = [await newUser(stores), unique('demo')]
      await reserve(ann, name, { ephemeral: true })
      await expect(reserve(ann, name, {}, dying(calls))).rejects.toMatchObject({ code: 'store-unavailable' })
      const heldUntil = (await stores.reservations.find(name))?.heldUntil ?? Number.POSITIVE_INFINITY
      const purgeAt = (await purgeAtOf(place(), 'SUBS', name)) ?? Number.POSITIVE_INFINITY
      expect(purgeAt * 1000).toBeGreaterThanOrEqual(heldUntil)
      await reserve(ann, name)
      expect(await purgeAtOf(place(), 'SUBS', name)).toBeUndefined()
    },
  )

  test('a random name that is made to last stays so, even if a use of it was under way', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    await reserve(ann, name, { ephemeral: true })
    const slow = holdsBack(place().client, 'UpdateItemCommand')
    const later = { ephemeral: true, now: NOW + EPHEMERAL_HOLD_MS / 2 }
    const use = reserve(ann, name, later, openStore({ ...place(), client: slow.client }))
    await slow.reached
    const lasting = await reserve(ann, name)
    slow.letGo()
    await expect(use).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(await stores.reservations.find(name)).toEqual(lasting)
    expect(await reserve(ann, name, later)).toEqual(lasting)
    expect(await purgeAtOf(place(), 'SUBS', name)).toBeUndefined()
  })

  test('the row of a name that was made to last stays, even if the row of a use of it comes late', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    await reserve(ann, name, { ephemeral: true })
    const slow = holdsBack(place().client, 'PutItemCommand')
    const later = { ephemeral: true, now: NOW + EPHEMERAL_HOLD_MS / 2 }
    const use = reserve(ann, name, later, openStore({ ...place(), client: slow.client }))
    await slow.reached
    await reserve(ann, name, { now: later.now })
    slow.letGo()
    await use
    expect(await stores.reservations.find(name)).not.toHaveProperty('heldUntil')
    expect(await purgeAtOf(place(), 'SUBS', name)).toBeUndefined()
  })

  test("the row of a new owner's name stays, even if that of the old owner's random name comes late", async () => {
    const [ann, bob, name] = [await newUser(stores), await newUser(stores), unique('demo')]
    const slow = holdsBack(place().client, 'PutItemCommand', 1)
    const old = reserve(ann, name, { ephemeral: true }, openStore({ ...place(), client: slow.client }))
    await slow.reached
    await reserve(bob, name, { now: NOW + EPHEMERAL_HOLD_MS + 1 })
    slow.letGo()
    await old
    expect(await purgeAtOf(place(), 'SUBS', name)).toBeUndefined()
  })

  test('the row of a random name goes with its hold, and that of a lasting one when it was given back', async () => {
    const ann = await newUser(stores)
    const [random, lasting] = [unique('demo'), unique('demo')]
    await reserve(ann, random, { ephemeral: true })
    expect(await purgeAtOf(place(), 'SUBS', random)).toBe(Math.ceil((NOW + EPHEMERAL_HOLD_MS) / 1000))
    // Whoever of the 50 gets it, and whoever wrote the row.
    await Promise.all(range(50).map(() => reserve(ann, lasting)))
    expect(await storedItem(place(), 'SUBS', lasting)).not.toHaveProperty('purgeAt')
    await stores.reservations.release({ name: lasting, owner: ann, now: NOW + 1 })
    expect(await purgeAtOf(place(), 'SUBS', lasting)).toBe(Math.ceil((NOW + 1 + NAME_COOL_DOWN_MS) / 1000))
    expect(await listed(lasting)).toMatchObject([{ username: ann, releasedAt: NOW + 1 }])
    await reserve(ann, lasting, { now: NOW + 2 })
    expect(await storedItem(place(), 'SUBS', lasting)).not.toHaveProperty('purgeAt')
  })

  test.each([1, 2])(
    'a name that its owner has back while call %i of giving it back is under way stays counted and listed',
    async (passing) => {
      const [ann, name] = [await newUser(stores), unique('demo')]
      await reserve(ann, name)
      const slow = holdsBack(place().client, 'UpdateItemCommand', passing)
      const on = openStore({ ...place(), client: slow.client })
      const release = on.reservations.release({ name, owner: ann, now: NOW + 1 })
      await slow.reached
      await reserve(ann, name, { now: NOW + 2 })
      slow.letGo()
      expect(await release).toBe(true)
      expect(await counted(ann)).toEqual([name])
      expect(await listedOf(ann)).toEqual([name])
      expect(await purgeAtOf(place(), 'SUBS', name)).toBeUndefined()
    },
  )

  test('of one owner and 49 strangers who give a name back at once the owner does', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    await reserve(ann, name)
    const owners = range(50).map((i) => (i === 25 ? ann : `stranger-${i}`))
    const outcomes = await Promise.all(owners.map((owner) => stores.reservations.release({ name, owner, now: NOW })))
    expect(owners.filter((_, i) => outcomes[i])).toEqual([ann])
    expect(await counted(ann)).toEqual([])
  })

  test("a stranger's release changes nothing", async () => {
    const [ann, bob, name] = [await newUser(stores), await newUser(stores), unique('demo')]
    const reserved = await reserve(ann, name)
    expect(await stores.reservations.release({ name, owner: bob, now: NOW })).toBe(false)
    expect(await stores.reservations.find(name)).toEqual(reserved)
    expect(await counted(ann)).toEqual([name])
    expect(await storedItem(place(), 'SUBS', name)).not.toHaveProperty('purgeAt')
  })

  test('of 50 administrators who give a name back at once one does, and it does not count for its owner any more', async () => {
    const [ann, name] = [await newUser(stores, 1), unique('demo')]
    await reserve(ann, name)
    const outcomes = await Promise.all(range(50).map(() => stores.reservations.release({ name, now: NOW })))
    expect(outcomes.filter(Boolean)).toHaveLength(1)
    expect(await counted(ann)).toEqual([])
    await reserve(ann, unique('demo'))
  })

  test('a name that nobody has is not given back, and is not made by that', async () => {
    const name = unique('demo')
    expect(await stores.reservations.release({ name, now: NOW })).toBe(false)
    expect(await stores.reservations.find(name)).toBeUndefined()
    expect(await storedItem(place(), 'SUBS', name)).toBeUndefined()
  })

  test('the name of a user who was removed is given back all the same', async () => {
    const [ann, name] = [await newUser(stores), unique('demo')]
    await reserve(ann, name)
    await stores.users.remove(ann)
    expect(await stores.reservations.release({ name, owner: ann, now: NOW })).toBe(true)
    expect(await stores.users.find(ann)).toBeUndefined()
  })
}
