/** What every place promises about accounts. */
import { openStore, type Stores, type User } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import { diesAfter, holdsBack } from './broken-client.ts'
import type { OpenPlace } from './place.ts'
import { NOW, newUser, range, unique } from './samples.ts'
import { storedItem } from './stored-item.ts'
import { itemsOf, walk } from './walk.ts'

export function userContract(place: () => OpenPlace): void {
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })
  const dying = (calls: number) => openStore({ ...place(), client: diesAfter(place().client, calls) })
  const user = (changes: Partial<User> = {}) => ({
    username: unique('ann'),
    maxSubdomains: 2,
    maxTunnels: 3,
    createdAt: NOW,
    ...changes,
  })
  const isListed = async (username: string) => {
    const pages = await walk(stores.users.list, { limit: 50, after: username.slice(0, -1) })
    return itemsOf(pages).some((each) => each.username === username)
  }

  test('a user is found as they were made: enabled, without names', async () => {
    const ann = user({ patterns: new Set(['ann-*', 'demo']) })
    expect(await stores.users.create(ann)).toBe(true)
    expect(await stores.users.find(ann.username)).toEqual({ ...ann, subdomains: {}, disabled: false })
  })

  test('of 100 that make one user at once exactly one does, and the user is theirs', async () => {
    const ann = user()
    const made = await Promise.all(range(100).map((i) => stores.users.create({ ...ann, maxTunnels: i })))
    expect(made.filter(Boolean)).toHaveLength(1)
    expect((await stores.users.find(ann.username))?.maxTunnels).toBe(made.indexOf(true))
    expect(await stores.users.create(ann)).toBe(false)
  })

  test.each([0, 1, 2])(
    'a crash after %i calls of making a user leaves none, and the next try makes them',
    async (calls) => {
      const ann = user()
      await expect(dying(calls).users.create(ann)).rejects.toMatchObject({ code: 'store-unavailable' })
      expect(await stores.users.find(ann.username)).toBeUndefined()
      expect(await isListed(ann.username)).toBe(false)
      expect(await stores.users.create(ann)).toBe(true)
      expect(await isListed(ann.username)).toBe(true)
    },
  )

  test('users are listed by name, each once, whatever the size of the page', async () => {
    const prefix = unique('zz')
    const names = range(7).map((i) => `${prefix}-${i}`)
    for (const username of names.toReversed()) await stores.users.create(user({ username }))
    for (const limit of [1, 2, 3, 6, 7, 8]) {
      const pages = await walk(stores.users.list, { limit, after: prefix })
      const own = itemsOf(pages).filter(({ username }) => username.startsWith(prefix))
      expect(own.map(({ username }) => username)).toEqual(names)
    }
  })

  test('a page of users who were never completed is empty and still has a next', async () => {
    const prefix = unique('zz')
    for (const i of [0, 1]) {
      await expect(dying(2).users.create(user({ username: `${prefix}-${i}` }))).rejects.toThrow()
    }
    await stores.users.create(user({ username: `${prefix}-2` }))
    const first = await stores.users.list({ limit: 2, after: prefix })
    expect(first).toEqual({ items: [], next: `${prefix}-1` })
    const second = await stores.users.list({ limit: 1, after: first.next })
    expect(second.items).toMatchObject([{ username: `${prefix}-2` }])
  })

  test('what is given is changed, what is not stays, and the answer is the user as they are then', async () => {
    const ann = user({ patterns: new Set(['ann-*']) })
    await stores.users.create(ann)
    const { username } = ann
    const changed = await stores.users.update(username, { maxTunnels: 7, disabled: true })
    expect(changed).toEqual({ ...ann, maxTunnels: 7, disabled: true, subdomains: {} })
    expect(await stores.users.find(username)).toEqual(changed)
    expect(await stores.users.update(username, { disabled: undefined as never })).toEqual(changed)
    expect(await stores.users.update(username, {})).toEqual(changed)
  })

  test('without patterns there are none: none when made, none any more, and some again', async () => {
    const ann = user({ patterns: new Set() })
    const { username } = ann
    await stores.users.create(ann)
    expect(await stores.users.find(username)).not.toHaveProperty('patterns')
    const some = await stores.users.update(username, { patterns: new Set(['a*']), maxSubdomains: 9 })
    expect(some).toMatchObject({ patterns: new Set(['a*']), maxSubdomains: 9 })
    expect(await stores.users.find(username)).toEqual(some)
    const none = await stores.users.update(username, { patterns: new Set(), maxSubdomains: 8 })
    expect(none).not.toHaveProperty('patterns')
    expect(await stores.users.find(username)).toEqual(none)
    expect(await stores.users.update(username, { patterns: new Set() })).toEqual(none)
  })

  test('changing somebody who is not there makes nobody', async () => {
    const nobody = unique('nobody')
    expect(await stores.users.update(nobody, { disabled: true })).toBeUndefined()
    expect(await stores.users.update(nobody, {})).toBeUndefined()
    expect(await stores.users.find(nobody)).toBeUndefined()
  })

  test('25 changes of two different things at once lose none of each other', async () => {
    const ann = await newUser(stores)
    const changes = range(50).map((i) => (i % 2 === 0 ? { maxTunnels: 100 } : { maxSubdomains: 100 }))
    await Promise.all(changes.map((change) => stores.users.update(ann, change)))
    expect(await stores.users.find(ann)).toMatchObject({ maxTunnels: 100, maxSubdomains: 100 })
  })

  test('of 50 that remove one user at once exactly one does, and the user is neither found nor listed', async () => {
    const ann = await newUser(stores)
    const removed = await Promise.all(range(50).map(() => stores.users.remove(ann)))
    expect(removed.filter(Boolean)).toHaveLength(1)
    expect(await stores.users.find(ann)).toBeUndefined()
    expect(await storedItem(place(), 'USERS', ann)).toBeUndefined()
  })

  test('25 that change and 25 that remove a user at once leave none', async () => {
    const ann = await newUser(stores)
    await Promise.all(
      range(50).map((i) => (i % 2 === 0 ? stores.users.update(ann, { disabled: true }) : stores.users.remove(ann))),
    )
    expect(await stores.users.find(ann)).toBeUndefined()
  })

  test.each([0, 1])(
    'a crash after %i calls of a removal leaves a user who is both found and listed, or neither',
    async (calls) => {
      const ann = await newUser(stores)
      await expect(dying(calls).users.remove(ann)).rejects.toMatchObject({ code: 'store-unavailable' })
      const found = (await stores.users.find(ann)) !== undefined
      expect(await isListed(ann)).toBe(found)
      expect(await stores.users.remove(ann)).toBe(found)
      expect(await stores.users.create(user({ username: ann, createdAt: NOW + 1 }))).toBe(true)
      expect(await isListed(ann)).toBe(true)
    },
  )

  test('a user who is made while the one before is being removed stays in the list', async () => {
    const ann = await newUser(stores)
    const slow = holdsBack(place().client, 'DeleteItemCommand', 1)
    const removal = openStore({ ...place(), client: slow.client }).users.remove(ann)
    await slow.reached
    expect(await stores.users.create(user({ username: ann, createdAt: NOW + 1 }))).toBe(true)
    slow.letGo()
    expect(await removal).toBe(true)
    expect(await isListed(ann)).toBe(true)
  })
}
