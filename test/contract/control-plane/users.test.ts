import type { UserView } from '@postern/protocol/api'
import {
  COUNT_SETTLED_MS,
  DEFAULT_MAX_SUBDOMAINS,
  DEFAULT_MAX_TUNNELS,
  MOST_SUBDOMAINS,
} from '@postern/protocol/limits'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diesAfter, holdsBack } from '../store/broken-client.ts'
import { newWorld, type World } from './call-table.ts'
import { callApp, START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'

let world: World
beforeEach(async () => {
  world = await newWorld()
})
afterEach(() => world.stop())

const asRoot = (method: string, path: string, body?: object) => world.call({ method, path, bearer: world.root, body })
const users = async () => ((await asRoot('GET', '/v1/users')).json as { items: UserView[] }).items
const revocations = async () =>
  (await world.stores.revocations.since('')).map(({ what, key, notBefore }) => [what, key, notBefore])
const reserve = (name: string, username: string) =>
  world.stores.reservations.reserve({ name, username, ephemeral: false, now: world.at.now, newId: world.fresh })

describe('an account', () => {
  test('may have every name, 20 of them, unless it is said otherwise', async () => {
    const { status, json } = await asRoot('POST', '/v1/users', { username: 'carl' })
    expect([status, json]).toEqual([
      201,
      {
        username: 'carl',
        subdomains: ['*'],
        maxSubdomains: DEFAULT_MAX_SUBDOMAINS,
        maxTunnels: DEFAULT_MAX_TUNNELS,
        heldSubdomains: 0,
        disabled: false,
        createdAt: new Date(START).toISOString(),
      },
    ])
    expect((await asRoot('GET', '/v1/users/carl')).json).toEqual(json)
    expect(await users()).toContainEqual(json)
  })

  test('is made as it is wished, and without patterns may have no name', async () => {
    const wish = { username: 'c@rl.example', subdomains: [], maxSubdomains: 0, maxTunnels: 1 }
    expect((await asRoot('POST', '/v1/users', wish)).json).toMatchObject({ ...wish, heldSubdomains: 0 })
    const bearer = await world.give('c@rl.example')
    const body = { username: 'c@rl.example', subdomain: 'demo' }
    expectProblem(await world.call({ method: 'POST', path: '/', bearer, body }), 'subdomain-not-allowed')
  })

  test('is never made over another one', async () => {
    await asRoot('PATCH', '/v1/users/bob', { maxTunnels: 7 })
    expectProblem(await asRoot('POST', '/v1/users', { username: 'bob', maxTunnels: 8 }), 'user-taken')
    expect((await asRoot('GET', '/v1/users/bob')).json).toMatchObject({ maxTunnels: 7 })
  })

  test('cannot be called what the audit calls the deployer', async () => {
    expectProblem(await asRoot('POST', '/v1/users', { username: 'deployer' }), 'user-taken')
  })

  test.each(['', 'a b', 'a/b', 'a#b', '-a', '.a', 'ü', 'a'.repeat(65), 'a'.repeat(3000), 'a\n', 'a\0'])(
    'is not named %j',
    async (username) => {
      expectProblem(await asRoot('POST', '/v1/users', { username }), 'request-malformed')
      for (const method of ['GET', 'DELETE', 'PATCH']) {
        const path = `/v1/users/${encodeURIComponent(username)}`
        if (username !== '') expectProblem(await asRoot(method, path, method === 'PATCH' ? {} : undefined), 'not-found')
      }
    },
  )

  test.each([
    [{ maxSubdomains: MOST_SUBDOMAINS + 1 }, 'maxSubdomains'],
    [{ maxTunnels: -1 }, 'maxTunnels'],
    [{ subdomains: ['Demo'] }, 'subdomains.0'],
    [{ subdomains: Array.from({ length: 51 }, (_, n) => `a${n}`) }, 'subdomains'],
  ])('is not given %j', async (wish, field) => {
    const problems = [
      await asRoot('POST', '/v1/users', { username: 'carl', ...wish }),
      await asRoot('PATCH', '/v1/users/bob', wish),
    ]
    for (const answer of problems) expect(expectProblem(answer, 'request-malformed').detail).toContain(field)
  })

  test('is changed in what is named, and in nothing else', async () => {
    const before = (await asRoot('GET', '/v1/users/bob')).json as UserView
    const after = { ...before, subdomains: ['b*', 'x'], maxTunnels: 1 }
    expect((await asRoot('PATCH', '/v1/users/bob', { subdomains: ['x', 'b*'], maxTunnels: 1 })).json).toEqual(after)
    expect((await asRoot('PATCH', '/v1/users/bob', {})).json).toEqual(after)
    expect((await asRoot('PATCH', '/v1/users/bob', { subdomains: [] })).json).toEqual({ ...after, subdomains: [] })
    expect((await asRoot('GET', '/v1/users/bob')).json).toEqual({ ...after, subdomains: [] })
    expect(await revocations()).toEqual([])
  })

  test('says how many names it holds', async () => {
    await reserve('one', 'bob')
    await reserve('two', 'bob')
    expect((await asRoot('GET', '/v1/users/bob')).json).toMatchObject({ heldSubdomains: 2 })
  })
})

describe('disabling an account', () => {
  test('turns its tokens away and has its tunnels cut; enabling it lets them in again', async () => {
    expect((await asRoot('PATCH', '/v1/users/bob', { disabled: true })).json).toMatchObject({ disabled: true })
    expectProblem(await world.call({ path: '/v1/me', bearer: world.bob }), 'user-disabled')
    expect(await revocations()).toEqual([['user', 'bob', START]])
    expect((await asRoot('PATCH', '/v1/users/bob', { disabled: false })).json).toMatchObject({ disabled: false })
    expect((await world.call({ path: '/v1/me', bearer: world.bob })).status).toBe(200)
    expect(await revocations()).toHaveLength(1)
  })

  test('cuts the channel of a ticket that was asked for before and issued after', async () => {
    await reserve('demo', 'bob')
    let held = {} as ReturnType<typeof holdsBack>
    // The day of use is noted after it was read who asks.
    const slow = world.appOn((client) => {
      held = holdsBack(client, 'UpdateItemCommand')
      return held.client
    })
    const body = { username: 'bob', subdomain: 'demo' }
    const ticket = callApp(slow, { method: 'POST', path: '/', bearer: world.bob, body })
    await held.reached
    world.at.now = START + 5
    await asRoot('PATCH', '/v1/users/bob', { disabled: true })
    world.at.now = START + 10
    held.letGo()
    expect((await ticket).status).toBe(200)
    const issued = (await world.dump()).find((item) => item.pk?.S?.startsWith('TICKET#'))
    const [[, , notBefore] = []] = await revocations()
    expect(Number(issued?.issuedAt?.N)).toBeLessThanOrEqual(Number(notBefore))
  })

  test('and deleting it are refused to the administrator whose own it is', async () => {
    for (const answer of [
      await asRoot('PATCH', '/v1/users/root', { disabled: true }),
      await asRoot('DELETE', '/v1/users/root'),
    ]) {
      expect(expectProblem(answer, 'request-malformed').detail).toContain('another administrator')
    }
    expect((await asRoot('PATCH', '/v1/users/root', { disabled: false, maxTunnels: 3 })).status).toBe(200)
    expect(await revocations()).toEqual([])
  })
})

describe('deleting an account', () => {
  const left = async (username: string) => ({
    user: await world.stores.users.find(username),
    active: (await world.stores.tokens.list({ limit: 1000 })).items.filter(
      (token) => token.username === username && token.tokenStatus === 'active',
    ),
    kept: (await world.stores.reservations.list({ limit: 1000 })).items.filter(
      (name) => name.username === username && name.releasedAt === undefined,
    ),
  })
  const NOTHING = { user: undefined, active: [], kept: [] }
  /** With two tokens and two names. */
  async function account(username: string): Promise<string> {
    const bearer = await world.give(username)
    await world.give(username)
    for (const part of ['a', 'b']) await reserve(`${username}-${part}`, username)
    return bearer
  }

  test('revokes its tokens, cuts its tunnels, gives its names back, and forgets it', async () => {
    const bearer = await account('carl')
    expect((await asRoot('DELETE', '/v1/users/carl')).status).toBe(204)
    expect(await left('carl')).toEqual(NOTHING)
    expect((await users()).map(({ username }) => username)).toEqual(['ann', 'bob', 'root'])
    expectProblem(await world.call({ path: '/v1/me', bearer }), 'token-revoked')
    expect(await revocations()).toContainEqual(['user', 'carl', START])
    expectProblem(await asRoot('DELETE', '/v1/users/carl'), 'not-found')
  })

  test('leaves its name to a new account, which gets nothing of the old one but the week of its names', async () => {
    const bearer = await account('carl')
    await asRoot('DELETE', '/v1/users/carl')
    expect((await asRoot('POST', '/v1/users', { username: 'carl' })).json).toMatchObject({ heldSubdomains: 0 })
    expectProblem(await world.call({ path: '/v1/me', bearer }), 'token-revoked')
    const body = { username: 'bob', subdomain: 'carl-a' }
    expectProblem(await world.call({ method: 'POST', path: '/', bearer: world.bob, body }), 'subdomain-taken')
  })

  test('that broke off between any two of its steps is completed by another try', async () => {
    let calls = 0
    for (let status = 0; status !== 204; calls += 1) {
      const username = `user-${calls}`
      await account(username)
      const ask = { method: 'DELETE', path: `/v1/users/${username}`, bearer: world.root }
      const answer = await callApp(
        world.appOn((client) => diesAfter(client, calls)),
        ask,
      )
      status = answer.status
      if (status === 204) break
      expectProblem(answer, 'store-unavailable')
      const again = await asRoot('DELETE', `/v1/users/${username}`)
      // Nothing was left to do where only the last row of a list was.
      expect([204, 404]).toContain(again.status)
      expect([calls, await left(username)]).toEqual([calls, NOTHING])
      expect((await users()).filter((user) => user.username === username)).toEqual([])
    }
    // Who asks, disable, cut, two tokens, two names, what is left, remove: each of them several calls.
    expect(calls).toBeGreaterThan(15)
  })

  test('waits for a name that is just being reserved, so that none is nobody’s for good', async () => {
    await world.give('carl')
    let held = {} as ReturnType<typeof holdsBack>
    const slow = world.appOn((client) => {
      held = holdsBack(client, 'PutItemCommand')
      return held.client
    })
    const bearer = await world.give('carl')
    const reserving = callApp(slow, { method: 'PUT', path: '/v1/subdomains/demo', bearer })
    await held.reached
    const problem = expectProblem(await asRoot('DELETE', '/v1/users/carl'), 'store-unavailable')
    expect(problem.detail).toContain('demo')
    expect(await world.stores.users.find('carl')).toMatchObject({ disabled: true })
    held.letGo()
    expect((await reserving).status).toBe(200)
    expect((await asRoot('DELETE', '/v1/users/carl')).status).toBe(204)
    expect(await left('carl')).toEqual(NOTHING)
  })

  test('does not wait for a name that a crash left counted, a minute later', async () => {
    const bearer = await world.give('carl')
    // Token, account, day of use, reservation, count; then the process dies.
    const dying = world.appOn((client) => diesAfter(client, 5))
    const ask = { method: 'PUT', path: '/v1/subdomains/demo', bearer }
    expectProblem(await callApp(dying, ask), 'store-unavailable')
    expect((await world.stores.users.find('carl'))?.subdomains).toEqual({ demo: START })
    expectProblem(await asRoot('DELETE', '/v1/users/carl'), 'store-unavailable')
    world.at.now = START + COUNT_SETTLED_MS
    expect((await asRoot('DELETE', '/v1/users/carl')).status).toBe(204)
  })

  test.each([
    ['', false],
    [', not even to the next account of that name', true],
  ])('leaves no token that is made at the same moment%s', async (_, isMadeAnew) => {
    await world.give('carl')
    let held = {} as ReturnType<typeof holdsBack>
    const slow = world.appOn((client) => {
      // Behind the two lists, before the item that lets somebody in.
      held = holdsBack(client, 'PutItemCommand', 2)
      return held.client
    })
    const body = { username: 'carl' }
    const making = callApp(slow, { method: 'POST', path: '/v1/tokens', bearer: world.root, body })
    await held.reached
    expect((await asRoot('DELETE', '/v1/users/carl')).status).toBe(204)
    world.at.now = START + 1
    if (isMadeAnew) expect((await asRoot('POST', '/v1/users', { username: 'carl' })).status).toBe(201)
    held.letGo()
    expectProblem(await making, 'user-disabled')
    expect((await left('carl')).active).toEqual([])
  })
})
