import type { SubdomainView } from '@postern/protocol/api'
import { EPHEMERAL_HOLD_MS, NAME_COOL_DOWN_MS } from '@postern/protocol/limits'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { diesAfter } from '../store/broken-client.ts'
import { newWorld, type World } from './call-table.ts'
import { callApp, START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'

let world: World
let name: string
beforeAll(async () => {
  world = await newWorld()
})
afterAll(() => world.stop())
beforeEach(() => {
  world.at.now = START
  name = world.fresh()
})

const time = (ms: number): string => new Date(ms).toISOString()
const at = (text: string): string => `/v1/subdomains/${text}`
const put = (bearer: string, body?: object, text = name) => world.call({ method: 'PUT', path: at(text), bearer, body })
const get = (bearer: string) => world.call({ path: at(name), bearer })
const release = (bearer: string) => world.call({ method: 'DELETE', path: at(name), bearer })
const list = async (bearer: string, query = '?limit=100') =>
  ((await world.call({ path: `/v1/subdomains${query}`, bearer })).json as { items: SubdomainView[] }).items
const ticket = (bearer: string, username: string, more: object = {}) =>
  world.call({ method: 'POST', path: '/', bearer, body: { username, subdomain: name, ...more } })
const cuts = async () => (await world.stores.revocations.since('')).filter(({ key }) => key === name)
const isListed = async (bearer: string) => (await list(bearer)).some((view) => view.name === name)

describe('reserving a name', () => {
  test('makes it one’s own for good, and needs no body', async () => {
    const view = { name, username: 'ann', ephemeral: false, createdAt: time(START), released: false }
    const { status, json } = await put(world.ann)
    expect([status, json]).toEqual([200, view])
    expect((await get(world.ann)).json).toEqual(view)
    expect(await list(world.ann)).toContainEqual(view)
    expectProblem(await put(world.bob), 'subdomain-taken')
    expectProblem(await get(world.bob), 'not-found')
    expect(await isListed(world.bob)).toBe(false)
    expect((await get(world.root)).json).toEqual(view)
    expect(await isListed(world.root)).toBe(true)
  })

  test('again changes nothing', async () => {
    const first = (await put(world.ann)).json
    world.at.now = START + 1000
    expect((await put(world.ann, {})).json).toEqual(first)
  })

  test('makes a lasting name of a random one', async () => {
    await ticket(world.ann, 'ann', { ephemeral: true })
    const heldUntil = time(START + EPHEMERAL_HOLD_MS)
    expect((await get(world.ann)).json).toMatchObject({ ephemeral: true, heldUntil })
    await put(world.ann)
    expect((await get(world.ann)).json).toMatchObject({ ephemeral: false })
    expect((await get(world.ann)).json).not.toHaveProperty('heldUntil')
  })

  test('for somebody else is an administrator’s, and theirs is what it counts against', async () => {
    expectProblem(await put(world.ann, { username: 'bob' }), 'scope-missing')
    expect((await put(world.root, { username: 'bob' })).json).toMatchObject({ username: 'bob' })
    expect((await get(world.bob)).status).toBe(200)
    expectProblem(await put(world.root, { username: 'nobody' }, world.fresh()), 'not-found')
    await world.give('carl')
    await world.stores.users.update('carl', { disabled: true })
    expectProblem(await put(world.root, { username: 'carl' }, world.fresh()), 'user-disabled')
  })

  test('keeps within the patterns of the account, and those of a token that is no administrator’s', async () => {
    await world.give('dora')
    await world.stores.users.update('dora', { patterns: new Set(['d*']) })
    const token = await world.give('dora', { subdomains: new Set(['*-dev']) })
    expect((await put(token, {}, 'dora-dev')).status).toBe(200)
    expectProblem(await put(token, {}, 'dora-live'), 'subdomain-not-allowed')
    expectProblem(await put(token, {}, 'ann-dev'), 'subdomain-not-allowed')
    expectProblem(await put(world.root, { username: 'dora' }, 'other'), 'subdomain-not-allowed')
    const narrow = await world.give('root', { scopes: new Set(['admin']), subdomains: new Set(['nothing']) })
    expect((await put(narrow, { username: 'dora' }, 'dora-live')).json).toMatchObject({ username: 'dora' })
  })

  test('keeps within the quota', async () => {
    const token = await world.give('emil')
    await world.stores.users.update('emil', { maxSubdomains: 1 })
    expect((await put(token)).status).toBe(200)
    expectProblem(await put(token, {}, world.fresh()), 'subdomain-quota')
    expect((await put(token)).status).toBe(200)
  })
})

describe('releasing a name', () => {
  test('gives it back, cuts its tunnel, and holds it a week for its owner', async () => {
    await put(world.ann)
    const { status, text } = await release(world.ann)
    expect([status, text]).toEqual([204, ''])
    expect(await cuts()).toMatchObject([{ what: 'subdomain', notBefore: START }])
    expect((await get(world.ann)).json).toMatchObject({ released: true, heldUntil: time(START + NAME_COOL_DOWN_MS) })
    world.at.now = START + NAME_COOL_DOWN_MS
    expectProblem(await put(world.bob), 'subdomain-taken')
    world.at.now += 1
    expectProblem(await get(world.ann), 'not-found')
    expect(await isListed(world.root)).toBe(false)
    expect((await put(world.bob)).json).toMatchObject({ username: 'bob', released: false })
    expectProblem(await get(world.ann), 'not-found')
  })

  test('frees a place of the quota at once, and its owner can have it back', async () => {
    const token = await world.give('fred')
    await world.stores.users.update('fred', { maxSubdomains: 1 })
    await put(token)
    await release(token)
    expect((await put(token)).json).toMatchObject({ released: false })
  })

  test('of another’s, by anybody but an administrator, finds nothing and changes nothing', async () => {
    await put(world.ann)
    expectProblem(await release(world.bob), 'not-found')
    expect((await get(world.ann)).json).toMatchObject({ released: false })
    expect((await release(world.root)).status).toBe(204)
    expect((await get(world.ann)).json).toMatchObject({ released: true, username: 'ann' })
  })

  test('again finds nothing', async () => {
    await put(world.ann)
    await release(world.ann)
    expectProblem(await release(world.ann), 'not-found')
    expectProblem(await release(world.root), 'not-found')
  })

  test('again, after it broke off before the cut, cuts the tunnel all the same; a stranger cuts none', async () => {
    await put(world.ann)
    // Who asks (two), day of use, reservation, account, list; then the process dies.
    for (let calls = 3; (await cuts()).length === 0 && calls < 12; calls += 1) {
      await callApp(
        world.appOn((client) => diesAfter(client, calls)),
        { method: 'DELETE', path: at(name), bearer: world.ann },
      )
      const cut = (await cuts()).length
      expectProblem(await release(world.bob), 'not-found')
      expect(await cuts()).toHaveLength(cut)
      if ((await world.stores.reservations.find(name))?.releasedAt !== undefined) {
        expectProblem(await release(world.ann), 'not-found')
        expect(await cuts()).toHaveLength(cut + 1)
      }
    }
    expect((await cuts()).length).toBeGreaterThan(0)
  })

  test.each(['www', 'nothing', '-', 'A', 'a.b', '%00', 'x'.repeat(64), 'x'.repeat(3000)])(
    'called %s finds nothing',
    async (text) => {
      for (const method of ['GET', 'DELETE']) {
        expectProblem(await world.call({ method, path: at(text), bearer: world.root }), 'not-found')
      }
    },
  )
})
