import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { size } from '../../support/full-size.ts'
import { newWorld, type World } from './call-table.ts'
import { START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'
import { openTunnel } from './open-tunnel.ts'

/** More than the largest page holds, so that every list has several of any size. */
const ITEMS = size(150, 250)
/** Of the smallest page: neither divides the number of items. */
const FEW = size(23, 7, 7)

let world: World
beforeAll(async () => {
  world = await newWorld()
  const { stores } = world
  // In an order of its own, so that no list is in order because it was made so.
  await inParallel(shuffled(ITEMS), async (n) => {
    const name = `n-${n}`
    await stores.users.create({ username: name, maxSubdomains: 1, maxTunnels: 1, createdAt: START })
    await world.give('ann')
    await openTunnel(stores, { name, username: 'ann' })
    await stores.audit.add({
      ...{ actor: 'ann', action: 'revokeToken', target: name, ip: '192.0.2.1', result: 'done' },
      ...{ now: START + n, newId: world.fresh },
    })
  })
})
afterAll(() => world.stop())

interface PageBody {
  items: Record<string, string>[]
  next?: string
}
interface ListCase {
  path: string
  /** What tells its items apart. */
  key: string
  bearer: 'ann' | 'root'
  /** How many there are. */
  size: number
}

const LISTS: ListCase[] = [
  // The four tokens of the table's users are beside them; one of them is ann's.
  { path: '/v1/tokens', key: 'id', bearer: 'root', size: ITEMS + 4 },
  { path: '/v1/tokens', key: 'id', bearer: 'ann', size: ITEMS + 1 },
  { path: '/v1/users', key: 'username', bearer: 'root', size: ITEMS + 3 },
  { path: '/v1/subdomains', key: 'name', bearer: 'root', size: ITEMS },
  { path: '/v1/subdomains?username=ann', key: 'name', bearer: 'root', size: ITEMS },
  { path: '/v1/tunnels', key: 'subdomain', bearer: 'root', size: ITEMS },
  { path: '/v1/tunnels', key: 'subdomain', bearer: 'ann', size: ITEMS },
  { path: '/v1/audit?day=2027-01-15', key: 'target', bearer: 'root', size: ITEMS },
]

/** The pages of a list to its end; `between` happens after each. */
async function walk(list: ListCase, limitOf: (page: number) => number, between?: (page: number) => Promise<void>) {
  const pages: PageBody[] = []
  for (let next: string | undefined; pages.length === 0 || next !== undefined; next = pages.at(-1)?.next) {
    const query = new URLSearchParams({ limit: `${limitOf(pages.length)}`, ...(next && { cursor: next }) })
    const path = `${list.path}${list.path.includes('?') ? '&' : '?'}${query}`
    const { status, json } = await world.call({ path, bearer: world[list.bearer] })
    expect(status).toBe(200)
    pages.push(json as PageBody)
    if (pages.length > ITEMS * 2) throw new Error('the list does not end')
    await between?.(pages.length)
  }
  return pages
}
const keys = (pages: PageBody[], { key }: ListCase) =>
  pages.flatMap(({ items }) => items.map((item) => item[key] ?? ''))

describe.each(LISTS)('$path, asked by $bearer', (list) => {
  test('shows each item once, in one order, in pages of any size', async () => {
    const all = keys(await walk(list, () => 100), list)
    expect(new Set(all).size).toBe(list.size)
    expect(all).toHaveLength(list.size)
    if (!list.path.startsWith('/v1/audit')) expect(all).toEqual(all.toSorted())
    for (const limitOf of [() => FEW, (page: number) => FEW + ((page * 31) % (101 - FEW))]) {
      const pages = await walk(list, limitOf)
      expect(keys(pages, list)).toEqual(all)
      expect(pages.filter(({ items }, page) => items.length > limitOf(page))).toEqual([])
      expect(pages.filter(({ next }) => next === undefined)).toHaveLength(1)
    }
  })
})

test('a page has 50 items unless asked for otherwise, and 100 at most', async () => {
  const page = async (query: string) => (await world.call({ path: `/v1/users${query}`, bearer: world.root })).json
  expect((await page('')) as PageBody).toMatchObject({ items: { length: 50 } })
  expect((await page('?limit=100')) as PageBody).toMatchObject({ items: { length: 100 } })
  for (const limit of ['0', '101', '-1', '1.5', '1e1', '', 'x', '0x10', '٣']) {
    const answer = await world.call({ path: `/v1/users?limit=${encodeURIComponent(limit)}`, bearer: world.root })
    expect(expectProblem(answer, 'request-malformed').detail).toContain('limit')
  }
})

test('the last page is the last, also where it is full', async () => {
  const pages = await walk({ path: '/v1/subdomains', key: 'name', bearer: 'ann', size: ITEMS }, () => 50)
  expect(pages.map(({ items }) => items.length)).toEqual(Array(ITEMS / 50).fill(50))
  expect(pages.at(-1)).not.toHaveProperty('next')
})

test('what is there all the time is shown once while other items come and go', async () => {
  const list: ListCase = { path: '/v1/users', key: 'username', bearer: 'root', size: 0 }
  const before = keys(await walk(list, () => 100), list)
  const during = await walk(
    list,
    () => FEW,
    async (page) => {
      for (const place of ['a', 'n', 'z']) {
        const username = `${place}-${page}-guest`
        await world.stores.users.create({ username, maxSubdomains: 1, maxTunnels: 1, createdAt: START })
        if (page % 2 === 0) await world.stores.users.remove(`${place}-${page - 1}-guest`)
      }
    },
  )
  const seen = keys(during, list)
  expect(seen.filter((username) => !username.endsWith('-guest'))).toEqual(before)
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen.length).toBeGreaterThan(before.length)
})

describe('a cursor', () => {
  const cursorOf = async (path: string, bearer: string) =>
    ((await world.call({ path: `${path}limit=1`, bearer })).json as PageBody).next ?? ''
  const withCursor = (path: string, bearer: string, cursor: string) =>
    world.call({ path: `${path}cursor=${encodeURIComponent(cursor)}`, bearer })

  test.each([
    ['/v1/users?', '/v1/subdomains?'],
    ['/v1/tokens?', '/v1/tokens?username=ann&'],
    ['/v1/tokens?username=ann&', '/v1/tokens?username=bob&'],
    ['/v1/tunnels?', '/v1/tunnels?username=ann&'],
    ['/v1/audit?day=2027-01-15&', '/v1/audit?day=2027-01-14&'],
  ])('of %s is none of %s', async (from, to) => {
    const cursor = await cursorOf(from, world.root)
    expect((await withCursor(from, world.root, cursor)).status).toBe(200)
    const problem = expectProblem(await withCursor(to, world.root, cursor), 'request-malformed')
    expect(problem.detail).toContain('cursor')
  })

  test('of somebody else’s list is none of one’s own', async () => {
    const cursor = await cursorOf('/v1/tokens?', world.ann)
    expectProblem(await withCursor('/v1/tokens?', world.bob, cursor), 'request-malformed')
  })

  const made = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url')
  test.each([
    'x',
    '',
    'a b',
    made(null),
    made([]),
    made('users'),
    made({ list: 'users' }),
    made({ after: 'a' }),
    made({ list: 'users', after: '' }),
    made({ list: 'users', after: 1 }),
    made({ list: 'users', after: 'a', more: 1 }),
    'A'.repeat(513),
  ])('%j is refused', async (cursor) => {
    expectProblem(await withCursor('/v1/users?', world.root, cursor), 'request-malformed')
  })

  test.each(['zzz', '\0', 'é', '/'.repeat(300), '#', '/a#9', 'a/b#1/c#2'])(
    'made by hand, after %j, leads out of no list',
    async (after) => {
      for (const [path, list, bearer] of [
        ['/v1/tokens?', 'tokens of bob', world.bob],
        ['/v1/tunnels?', 'tunnels of bob', world.bob],
        ['/v1/subdomains?', 'subdomains of bob', world.bob],
        ['/v1/tunnels?', 'tunnels', world.root],
        ['/v1/audit?', 'audit of 2027-01-15', world.root],
      ] as const) {
        const { status, text } = await withCursor(path, bearer, made({ list, after }))
        expect([path, status]).toEqual([path, 200])
        if (bearer === world.bob) expect(text).not.toContain('ann')
      }
    },
  )

  test('of the audit goes on with its day after midnight', async () => {
    const cursor = await cursorOf('/v1/audit?', world.root)
    world.at.now = START + 86_400_000
    const { json } = await withCursor('/v1/audit?', world.root, cursor)
    expect((json as PageBody).items[0]?.at?.slice(0, 10)).toBe('2027-01-15')
    expect((await world.call({ path: '/v1/audit', bearer: world.root })).json).toEqual({ items: [] })
    world.at.now = START
  })
})

test.each(['2027-1-5', '2027-02-30', 'today', '', '2027-01-15T00:00:00Z'])('%j is no day of the audit', async (day) => {
  const answer = await world.call({ path: `/v1/audit?day=${day}`, bearer: world.root })
  expect(expectProblem(answer, 'request-malformed').detail).toContain('day')
})

/** 0 to n − 1, each once, far from order. */
const shuffled = (n: number): number[] => Array.from({ length: n }, (_, at) => (at * 97 + 13) % n)

/** Ten at once: the embedded table takes one after the other anyway. */
async function inParallel<T>(items: T[], act: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 10) await Promise.all(items.slice(at, at + 10).map(act))
}
