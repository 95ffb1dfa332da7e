import type { NewToken, TokenView } from '@postern/protocol/api'
import {
  ADMIN_TOKEN_LIFE_DAYS,
  MOST_TOKEN_LIFE_DAYS,
  TOKEN_LIFE_DAYS,
  TOKEN_OVERLAP_MS,
} from '@postern/protocol/limits'
import { checkToken, Secret, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { idOf, newWorld, type World } from './call-table.ts'
import { type Answered, START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'

const DAY_MS = 86_400_000
const after = (ms: number): string => new Date(START + ms).toISOString()

let world: World
beforeAll(async () => {
  world = await newWorld()
})
afterAll(() => world.stop())
beforeEach(() => {
  world.at.now = START
})

const create = (bearer: string, body?: object) => world.call({ method: 'POST', path: '/v1/tokens', bearer, body })
const rotate = (bearer: string, id: string) => world.call({ method: 'POST', path: `/v1/tokens/${id}/rotate`, bearer })
const revoke = (bearer: string, id: string) => world.call({ method: 'DELETE', path: `/v1/tokens/${id}`, bearer })
const me = (bearer: string) => world.call({ path: '/v1/me', bearer })
const list = async (bearer: string, query = '') =>
  ((await world.call({ path: `/v1/tokens${query}`, bearer })).json as { items: TokenView[] }).items

function made({ status, json }: Answered): NewToken {
  expect(status).toBe(201)
  return json as NewToken
}

describe('a token', () => {
  test('for oneself needs no word: to open tunnels, for 90 days, for the names that one may have', async () => {
    const narrow = await world.give('ann', { subdomains: new Set(['ann-*', 'demo']) })
    const token = made(await create(narrow))
    expect(token).toEqual({
      id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      username: 'ann',
      label: '',
      scopes: ['tunnel'],
      subdomains: ['ann-*', 'demo'],
      status: 'active',
      createdAt: after(0),
      expiresAt: after(TOKEN_LIFE_DAYS * DAY_MS),
      token: expect.stringMatching(/^pst_u/),
    })
    expect((await me(token.token)).status).toBe(200)
  })

  test('of an administrator shows it in its letter, and lives 30 days', async () => {
    const token = made(await create(world.root, { scopes: ['admin'], label: 'on call' }))
    expect(checkToken(token.token)).toBe('admin')
    expect(token).toMatchObject({
      ...{ username: 'root', label: 'on call', scopes: ['admin'], subdomains: ['*'] },
      expiresAt: after(ADMIN_TOKEN_LIFE_DAYS * DAY_MS),
    })
  })

  test('is made for anybody by an administrator, whose own patterns do not bind it', async () => {
    const root = await world.give('root', { scopes: new Set(['admin']), subdomains: new Set(['nothing']) })
    const token = made(await create(root, { username: 'bob', subdomains: ['bob-*'], expiresInDays: 7 }))
    expect(token).toMatchObject({ username: 'bob', subdomains: ['bob-*'], expiresAt: after(7 * DAY_MS) })
    expect((await me(token.token)).json).toMatchObject({ username: 'bob', subdomains: ['bob-*'] })
  })

  test('without patterns is allowed no name', async () => {
    const token = made(await create(world.ann, { subdomains: [] }))
    expect(token.subdomains).toEqual([])
    const body = { username: 'ann', subdomain: 'demo' }
    expectProblem(await world.call({ method: 'POST', path: '/', bearer: token.token, body }), 'subdomain-not-allowed')
  })

  test('is made for nobody who is not there or disabled', async () => {
    expectProblem(await create(world.root, { username: 'nobody' }), 'not-found')
    await world.give('carl')
    await world.stores.users.update('carl', { disabled: true })
    expectProblem(await create(world.root, { username: 'carl' }), 'user-disabled')
    expect(await list(world.root, '?username=nobody')).toEqual([])
    expect(await list(world.root, '?username=carl')).toHaveLength(1)
  })

  test('lives a year at most', async () => {
    expect(made(await create(world.root, { expiresInDays: MOST_TOKEN_LIFE_DAYS })).expiresAt).toBe(after(365 * DAY_MS))
    for (const expiresInDays of [0, -1, 1.5, MOST_TOKEN_LIFE_DAYS + 1]) {
      const { detail } = expectProblem(await create(world.ann, { expiresInDays }), 'request-malformed')
      expect(detail).toContain('expiresInDays')
    }
  })

  test('is not a label: there it would lie readable in the table', async () => {
    const problem = expectProblem(await create(world.ann, { label: `my ${world.bob}` }), 'request-malformed')
    expect(problem.detail).toContain('label')
  })
})

test.each(['\u001b[2J', 'two\nlines', '\0', '\u009b'])('%j is no label: it would act on terminals', async (label) => {
  const { detail } = expectProblem(await create(world.ann, { label }), 'request-malformed')
  expect(detail).toBe('label: text without control characters expected.')
})

test('a label may be in any language', async () => {
  expect(made(await create(world.ann, { label: 'Büro 電算機 🚇' })).label).toBe('Büro 電算機 🚇')
})

describe('no token makes a mightier one', () => {
  test.each([
    [['*'], ['*']],
    [['ann-*'], ['ann-*']],
    [['ann-*'], ['ann-1', 'ann-x-*', 'ann-*-*', 'ann-**']],
    [
      ['a*z', 'b'],
      ['a-*-z', 'b'],
    ],
  ])('patterns %j cover %j', async (own, asked) => {
    const bearer = await world.give('ann', { subdomains: new Set(own) })
    expect((await create(bearer, { subdomains: asked })).status).toBe(201)
  })

  test.each([
    [['ann-*'], ['*']],
    [['ann-*'], ['ann-1', 'bob']],
    [['ann-*'], ['ann*']],
    [['ann-*'], ['*ann-*']],
    [['a*z'], ['a*']],
    [['a*b*c'], ['a*c']],
    [['demo'], ['demo*']],
    [['demo'], ['*']],
  ])('patterns %j do not cover %j', async (own, asked) => {
    const bearer = await world.give('ann', { subdomains: new Set(own) })
    expectProblem(await create(bearer, { subdomains: asked }), 'subdomain-not-allowed')
  })

  test('nor by rotation: neither scopes nor patterns beyond those of the token that asks', async () => {
    const plain = await world.give('root')
    expectProblem(await rotate(plain, await idOf(world, world.adminOnly)), 'scope-missing')
    const narrow = await world.give('ann', { subdomains: new Set(['ann-*']) })
    expectProblem(await rotate(narrow, await idOf(world, world.ann)), 'subdomain-not-allowed')
    expect(await world.stores.tokens.findById(await idOf(world, world.ann))).toMatchObject({
      expiresAt: START + 90 * DAY_MS,
    })
    expect((await rotate(world.ann, await idOf(world, narrow))).status).toBe(201)
  })
})

describe('no token makes one that ends later than itself', () => {
  test('days beyond its own end are refused, and the answer names the most', async () => {
    const bearer = await world.give('ann', { expiresAt: START + 7.5 * DAY_MS })
    const { detail } = expectProblem(await create(bearer, { expiresInDays: 8 }), 'token-life-exceeded')
    expect(detail).toBe(`expiresInDays: at most 7; the token that asks ends at ${after(7.5 * DAY_MS)}.`)
    expect(made(await create(bearer, { expiresInDays: 7 })).expiresAt).toBe(after(7 * DAY_MS))
  })

  test('one that ends within the day makes none for days, but one that ends with it', async () => {
    const bearer = await world.give('ann', { expiresAt: START + 3_600_000 })
    const { detail } = expectProblem(await create(bearer, { expiresInDays: 1 }), 'token-life-exceeded')
    expect(detail).toBe(`expiresInDays: leave it out; the token that asks ends at ${after(3_600_000)}.`)
    expect(made(await create(bearer)).expiresAt).toBe(after(3_600_000))
  })

  test('without a word, the new one ends with the one that asks, and so do those made by it', async () => {
    const bearer = await world.give('ann', { expiresAt: START + DAY_MS })
    const first = made(await create(bearer))
    world.at.now = START + DAY_MS / 2
    const second = made(await create(first.token))
    const third = made(await rotate(second.token, second.id))
    expect([first, second, third].map(({ expiresAt }) => expiresAt)).toEqual(Array(3).fill(after(DAY_MS)))
    world.at.now = START + DAY_MS
    for (const { token } of [first, second, third]) expectProblem(await me(token), 'token-expired')
  })

  test('nor by rotation, of itself or of another one', async () => {
    const bearer = await world.give('ann', { expiresAt: START + 2 * DAY_MS })
    const long = await world.give('ann')
    expect(made(await rotate(bearer, await idOf(world, long))).expiresAt).toBe(after(2 * DAY_MS))
    expect(made(await rotate(bearer, await idOf(world, bearer))).expiresAt).toBe(after(2 * DAY_MS))
    // It was rotated, so that it ends in a day.
    expect(made(await rotate(bearer, await idOf(world, bearer))).expiresAt).toBe(after(TOKEN_OVERLAP_MS))
  })

  test('but an administrator’s does', async () => {
    const root = await world.give('root', { scopes: new Set(['admin']), expiresAt: START + DAY_MS })
    const token = made(await create(root, { username: 'bob', expiresInDays: 365 }))
    expect(token.expiresAt).toBe(after(365 * DAY_MS))
    expect(made(await rotate(root, token.id)).expiresAt).toBe(after(365 * DAY_MS))
  })

  test('an administrator’s rotation gives a token that was cut short the length that it was asked for with', async () => {
    const bearer = await world.give('ann', { expiresAt: START + DAY_MS })
    const short = made(await create(bearer))
    expect(made(await rotate(world.root, short.id)).expiresAt).toBe(after(TOKEN_LIFE_DAYS * DAY_MS))
  })
})

describe('rotation', () => {
  test('makes a token like the old one, which goes on for a day and not longer', async () => {
    const changes = { subdomains: new Set(['ann-*']), label: 'ci', lifeMs: 7 * DAY_MS, expiresAt: START + 7 * DAY_MS }
    const old = await world.give('ann', changes)
    world.at.now = START + 6 * DAY_MS
    const fresh = made(await rotate(world.root, await idOf(world, old)))
    expect(fresh).toMatchObject({
      ...{ username: 'ann', label: 'ci', scopes: ['tunnel'], subdomains: ['ann-*'] },
      createdAt: after(6 * DAY_MS),
      expiresAt: after(13 * DAY_MS),
    })
    world.at.now = START + 6 * DAY_MS + TOKEN_OVERLAP_MS - 1
    expect([(await me(old)).status, (await me(fresh.token)).status]).toEqual([200, 200])
    world.at.now += 1
    expectProblem(await me(old), 'token-expired')
    expect((await me(fresh.token)).status).toBe(200)
  })

  test('repeated, because its answer was lost, gives another token of the full length', async () => {
    const old = made(await create(world.ann, { expiresInDays: 30 }))
    world.at.now = START + 10 * DAY_MS
    await rotate(world.root, old.id)
    world.at.now += 1000
    expect(made(await rotate(world.root, old.id)).expiresAt).toBe(after(40 * DAY_MS + 1000))
    expect((await world.stores.tokens.findById(old.id))?.expiresAt).toBe(START + 10 * DAY_MS + TOKEN_OVERLAP_MS)
  })

  test('leaves a token that ends within the day its end', async () => {
    const old = await world.give('ann', { expiresAt: START + 1000 })
    made(await rotate(world.ann, await idOf(world, old)))
    expect((await world.stores.tokens.find(tokenHash(new Secret(old))))?.expiresAt).toBe(START + 1000)
  })

  test('of a token that is revoked or expired is none', async () => {
    const revoked = made(await create(world.ann))
    await revoke(world.ann, revoked.id)
    expectProblem(await rotate(world.ann, revoked.id), 'not-found')
    const expired = await world.give('ann', { expiresAt: START })
    expectProblem(await rotate(world.ann, await idOf(world, expired)), 'not-found')
  })

  test('by an administrator is of anybody’s token, and for its user', async () => {
    const { id } = made(await create(world.bob, { label: 'of bob' }))
    expect(made(await rotate(world.root, id))).toMatchObject({ username: 'bob', label: 'of bob' })
  })
})

describe('revocation', () => {
  test('ends a token, lists it as revoked, and has its channels cut', async () => {
    const token = made(await create(world.ann))
    const answer = await revoke(world.ann, token.id)
    expect([answer.status, answer.text]).toEqual([204, ''])
    expectProblem(await me(token.token), 'token-revoked')
    expect((await list(world.ann, '?limit=100')).find(({ id }) => id === token.id)?.status).toBe('revoked')
    const hash = tokenHash(new Secret(token.token))
    expect((await world.stores.revocations.since('')).filter(({ key }) => key === hash)).toMatchObject([
      { what: 'token', notBefore: START },
    ])
  })

  test('repeated is done again, which mends one that broke off half-way', async () => {
    const token = made(await create(world.ann))
    for (const _ of [1, 2]) expect((await revoke(world.ann, token.id)).status).toBe(204)
    const hash = tokenHash(new Secret(token.token))
    expect((await world.stores.revocations.since('')).filter(({ key }) => key === hash)).toHaveLength(2)
  })

  test('may be of the very token that asks', async () => {
    const { token, id } = made(await create(world.ann))
    expect((await revoke(token, id)).status).toBe(204)
    expectProblem(await revoke(token, id), 'token-revoked')
  })

  test.each(['unknown', 'a'.repeat(41), 'a'.repeat(3000), 'a%2Fb', '%00', 'TOKENS'])(
    'of the id %s finds nothing',
    async (id) => {
      expectProblem(await revoke(world.root, id), 'not-found')
      expectProblem(await rotate(world.root, id), 'not-found')
    },
  )
})

describe('the list', () => {
  test('has one’s own alone; an administrator’s everybody’s, or those of one account', async () => {
    const owners = async (bearer: string, query = '?limit=100') =>
      new Set((await list(bearer, query)).map(({ username }) => username))
    expect(await owners(world.ann)).toEqual(new Set(['ann']))
    expect(await owners(world.ann, '?username=ann')).toEqual(new Set(['ann']))
    expect(await owners(world.root)).toEqual(new Set(['ann', 'bob', 'carl', 'root']))
    expect(await owners(world.root, '?username=bob')).toEqual(new Set(['bob']))
  })

  test('shows the last day of use and what is expired, and neither token nor hash', async () => {
    const used = await world.give('dora')
    await me(used)
    const text = await world.give('dora', { expiresAt: START })
    const [first, second] = (await list(used)).sort((a, b) => a.status.localeCompare(b.status))
    expect(first).toMatchObject({ status: 'active', lastUsedDay: '2027-01-15' })
    expect(second).toMatchObject({ status: 'expired' })
    expect(second).not.toHaveProperty('lastUsedDay')
    for (const token of [used, text]) {
      expect(JSON.stringify([first, second])).not.toContain(token.slice(5))
      expect(JSON.stringify([first, second])).not.toContain(tokenHash(new Secret(token)))
    }
  })
})
