/** What every place promises about tokens. */
import { TOKEN_PURGE_AFTER_MS } from '@postern/protocol/limits'
import { openStore, type Stores } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import { diesAfter } from './broken-client.ts'
import type { OpenPlace } from './place.ts'
import { idsInOrder, NOW, range, token, unique } from './samples.ts'
import { purge, purgeAtOf } from './stored-item.ts'
import { itemsOf, walk } from './walk.ts'

export function tokenContract(place: () => OpenPlace): void {
  const newId = idsInOrder()
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })
  const dying = (calls: number) => openStore({ ...place(), client: diesAfter(place().client, calls) })
  const make = async (changes: Parameters<typeof token>[0] = {}) => {
    const made = token(changes)
    await stores.tokens.create(made)
    return made
  }
  /** Tokens of a name that sorts behind all others, in the order of their ids. */
  const makeInOrder = async (count: number, changes: Parameters<typeof token>[0] = {}) => {
    const prefix = unique('zz')
    const made = []
    for (const i of range(count)) made.push(await make({ tokenId: `${prefix}-${i}`, ...changes }))
    return { prefix, made, ids: made.map(({ tokenId }) => tokenId) }
  }
  const idsOf = (tokens: readonly { tokenId: string }[]) => tokens.map(({ tokenId }) => tokenId)

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

  test('a token is found by its id, and another id leads to nothing', async () => {
    const made = await make()
    expect(await stores.tokens.findById(made.tokenId)).toEqual({ ...made, tokenStatus: 'active' })
    expect(await stores.tokens.findById(unique('token'))).toBeUndefined()
  })

  test('all tokens are listed in the order of their ids, each once, whatever the size of the page', async () => {
    const { prefix, ids } = await makeInOrder(7)
    for (const limit of [1, 2, 3, 6, 7, 8]) {
      const pages = await walk(stores.tokens.list, { limit, after: prefix })
      const own = idsOf(itemsOf(pages)).filter((id) => id.startsWith(prefix))
      expect(own).toEqual(ids)
      for (const { items } of pages) expect(items.length).toBeLessThanOrEqual(limit)
    }
  })

  test("a user's tokens are listed without those of others and without the user, and the last page has no next", async () => {
    const [ann, bob] = [unique('ann'), unique('bob')]
    for (const username of [ann, bob]) {
      await stores.users.create({ username, maxSubdomains: 1, maxTunnels: 1, createdAt: NOW })
    }
    const { ids } = await makeInOrder(5, { username: ann })
    await make({ username: bob })
    const pages = await walk((call) => stores.tokens.listOf(ann, call), { limit: 2 })
    expect(pages.map(({ items }) => idsOf(items))).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)])
    const all = await stores.tokens.listOf(ann, { limit: 5 })
    expect(idsOf(all.items)).toEqual(ids)
    expect(all.next).toBeUndefined()
    expect((await stores.tokens.listOf(unique('nobody'), { limit: 5 })).items).toEqual([])
  })

  test('a place that is no place of the list does not lead out of it', async () => {
    const ann = unique('ann')
    const { ids } = await makeInOrder(2, { username: ann })
    for (const after of ['!', '~', '\u{1f600}', '../USER', '#', ids[0] ?? '']) {
      const { items } = await stores.tokens.listOf(ann, { limit: 5, after })
      for (const { username } of items) expect(username).toBe(ann)
    }
  })

  test('what one has made is in the list at once, and a token that was never completed or is purged is not', async () => {
    const ann = unique('ann')
    for (const calls of [1, 2]) await expect(dying(calls).tokens.create(token({ username: ann }))).rejects.toThrow()
    const gone = await make({ username: ann })
    await purge(place(), `TOKEN#${gone.tokenHash}`, 'TOKEN')
    const made = await make({ username: ann })
    expect(idsOf(itemsOf(await walk((call) => stores.tokens.listOf(ann, call), { limit: 2 })))).toEqual([made.tokenId])
    expect(await stores.tokens.findById(gone.tokenId)).toBeUndefined()
  })

  test('a page of rows whose tokens are gone is empty and still has a next', async () => {
    const { made, ids } = await makeInOrder(3, { username: unique('ann') })
    const username = made[0]?.username ?? ''
    for (const { tokenHash } of made.slice(0, 2)) await purge(place(), `TOKEN#${tokenHash}`, 'TOKEN')
    const first = await stores.tokens.listOf(username, { limit: 2 })
    expect(first.items).toEqual([])
    const second = await stores.tokens.listOf(username, { limit: 2, after: first.next })
    expect(idsOf(second.items)).toEqual(ids.slice(2))
  })

  test("nobody revokes or shortens another tenant's token, and nothing is put in the list of revocations", async () => {
    const made = await make({ username: 'ann' })
    const call = { tokenHash: made.tokenHash, owner: 'bob' }
    const strangers = range(25).flatMap(() => [
      stores.tokens.revoke({ ...call, now: NOW, newId }),
      stores.tokens.expire({ ...call, at: NOW }),
    ])
    expect(await Promise.all(strangers)).toEqual(range(50).map(() => false))
    expect(await stores.tokens.find(made.tokenHash)).toEqual({ ...made, tokenStatus: 'active' })
    expect((await stores.revocations.since('')).some(({ key }) => key === made.tokenHash)).toBe(false)
    const own = { tokenHash: made.tokenHash, owner: 'ann' }
    expect(await stores.tokens.expire({ ...own, at: NOW + 1 })).toBe(true)
    expect(await stores.tokens.revoke({ ...own, now: NOW, newId })).toBe(true)
    expect(await stores.tokens.find(made.tokenHash)).toMatchObject({ tokenStatus: 'revoked', expiresAt: NOW + 1 })
  })

  test('a token is let end sooner and never later', async () => {
    const made = await make({ expiresAt: NOW + 1000 })
    const expire = (at: number) => stores.tokens.expire({ tokenHash: made.tokenHash, at })
    const end = async () => (await stores.tokens.find(made.tokenHash))?.expiresAt
    expect(await expire(NOW + 2000)).toBe(true)
    expect(await end()).toBe(NOW + 1000)
    expect(await expire(NOW + 500)).toBe(true)
    expect(await end()).toBe(NOW + 500)
    expect(await expire(NOW + 501)).toBe(true)
    expect(await end()).toBe(NOW + 500)
  })

  test('of 50 ends that are set at once the soonest stays', async () => {
    const made = await make({ expiresAt: NOW + 1000 })
    const ends = range(50).map((i) => NOW + ((i * 37) % 50) + 1)
    await Promise.all(ends.map((at) => stores.tokens.expire({ tokenHash: made.tokenHash, at })))
    expect((await stores.tokens.find(made.tokenHash))?.expiresAt).toBe(NOW + 1)
  })

  test('a token that is gone or revoked has no end to set', async () => {
    const made = await make()
    await stores.tokens.revoke({ tokenHash: made.tokenHash, now: NOW, newId })
    expect(await stores.tokens.expire({ tokenHash: made.tokenHash, at: NOW })).toBe(false)
    expect(await stores.tokens.find(made.tokenHash)).toMatchObject({ expiresAt: made.expiresAt })
    const gone = token().tokenHash
    expect(await stores.tokens.expire({ tokenHash: gone, at: NOW })).toBe(false)
    expect(await stores.tokens.find(gone)).toBeUndefined()
  })

  test('25 that revoke and 25 that shorten one token at once leave it revoked, and it does not come back', async () => {
    const made = await make()
    const own = { tokenHash: made.tokenHash, owner: 'ann' }
    const calls = range(50).map((i) =>
      i % 2 === 0 ? stores.tokens.revoke({ ...own, now: NOW, newId }) : stores.tokens.expire({ ...own, at: NOW + i }),
    )
    const outcomes = await Promise.all(calls)
    expect(outcomes.filter((_, i) => i % 2 === 0)).toEqual(range(25).map(() => true))
    expect(await stores.tokens.find(made.tokenHash)).toMatchObject({ tokenStatus: 'revoked' })
    expect(await stores.tokens.expire({ ...own, at: NOW })).toBe(false)
    expect((await stores.revocations.since('')).filter(({ key }) => key === made.tokenHash)).toHaveLength(25)
  })

  test('a token and its rows are purged 90 days after its end, the token sooner when it ends sooner', async () => {
    const made = await make({ username: unique('ann') })
    const purges = async () => [
      await purgeAtOf(place(), `TOKEN#${made.tokenHash}`, 'TOKEN'),
      await purgeAtOf(place(), 'TOKENS', made.tokenId),
      await purgeAtOf(place(), `USER#${made.username}`, `TOKEN#${made.tokenId}`),
    ]
    const last = (made.expiresAt + TOKEN_PURGE_AFTER_MS) / 1000
    expect(await purges()).toEqual([last, last, last])
    await stores.tokens.expire({ tokenHash: made.tokenHash, at: NOW })
    expect(await purges()).toEqual([(NOW + TOKEN_PURGE_AFTER_MS) / 1000, last, last])
  })
}
