import { TOKEN_OVERLAP_MS } from '@postern/protocol/limits'
import { Secret, tokenHash } from '@postern/protocol/ticket'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { size } from '../../support/full-size.ts'
import { holdsBack } from '../store/broken-client.ts'
import { idOf, newWorld, type World } from './call-table.ts'
import { type Ask, callApp, START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'

const CONTENDERS = size(20, 50, 50)

let world: World
beforeEach(async () => {
  world = await newWorld()
})
afterEach(() => world.stop())

/** All at once; answers how often each status came. */
async function race(asks: Ask[]): Promise<Record<number, number>> {
  const count: Record<number, number> = {}
  for (const { status } of await Promise.all(asks.map(world.call))) count[status] = (count[status] ?? 0) + 1
  return count
}
const many = (make: (n: number) => Ask): Ask[] => Array.from({ length: CONTENDERS }, (_, n) => make(n))
/** Owner and stranger by turns. */
const byTurns = (method: string, path: string): Ask[] =>
  many((n) => ({ method, path, bearer: n % 2 === 0 ? world.ann : world.bob }))
const tokensOf = async (username: string) => (await world.stores.tokens.listOf(username, { limit: 1000 })).items

test(`of ${CONTENDERS} who make the same user one does`, async () => {
  const make = (n: number) => ({
    ...{ method: 'POST', path: '/v1/users', bearer: world.root },
    body: { username: 'carl', maxTunnels: n },
  })
  expect(await race(many(make))).toEqual({ 201: 1, 409: CONTENDERS - 1 })
  const { items } = await world.stores.users.list({ limit: 100 })
  expect(items.filter(({ username }) => username === 'carl')).toHaveLength(1)
  const made = world.answered.find(({ status }) => status === 201)?.json
  expect((await world.call({ path: '/v1/users/carl', bearer: world.root })).json).toEqual(made)
})

test(`of ${CONTENDERS} users who reserve one name one gets it, and nobody else has it counted`, async () => {
  const bearers = await Promise.all(Array.from({ length: CONTENDERS }, (_, n) => world.give(`user-${n}`)))
  const asks = bearers.map((bearer) => ({ method: 'PUT', path: '/v1/subdomains/demo', bearer }))
  expect(await race(asks)).toEqual({ 200: 1, 409: CONTENDERS - 1 })
  const { items } = await world.stores.users.list({ limit: 100 })
  const holders = items.filter(({ subdomains }) => 'demo' in subdomains).map(({ username }) => username)
  expect(holders).toEqual([(await world.stores.reservations.find('demo'))?.username])
})

test(`of ${CONTENDERS} calls of one user for one name each gets the same, and its release takes it off the count`, async () => {
  const ask = { path: '/v1/subdomains/demo', bearer: world.ann }
  let ticks = START
  Object.defineProperty(world.at, 'now', {
    get: () => {
      ticks += 1
      return ticks
    },
  })
  expect(await race(many(() => ({ ...ask, method: 'PUT' })))).toEqual({ 200: CONTENDERS })
  expect(new Set(world.answered.map(({ text }) => text)).size).toBe(1)
  expect(Object.keys((await world.stores.users.find('ann'))?.subdomains ?? {})).toEqual(['demo'])
  expect((await world.call({ ...ask, method: 'DELETE' })).status).toBe(204)
  expect((await world.stores.users.find('ann'))?.subdomains).toEqual({})
})

test(`of ${CONTENDERS} who release one name, owner and stranger by turns, the owner does, once`, async () => {
  await world.call({ method: 'PUT', path: '/v1/subdomains/demo', bearer: world.ann })
  expect(await race(byTurns('DELETE', '/v1/subdomains/demo'))).toEqual({ 204: 1, 404: CONTENDERS - 1 })
  expect(await world.stores.reservations.find('demo')).toMatchObject({ username: 'ann', releasedAt: START })
})

test(`of ${CONTENDERS} who revoke one token no stranger does`, async () => {
  const id = await idOf(world, await world.give('ann'))
  const half = CONTENDERS / 2
  expect(await race(byTurns('DELETE', `/v1/tokens/${id}`))).toEqual({ 204: half, 404: half })
})

test(`a stranger’s ${CONTENDERS} revocations and rotations leave a token as it is`, async () => {
  const text = await world.give('ann')
  const id = await idOf(world, text)
  const before = await world.stores.tokens.findById(id)
  const asks = many((n) =>
    n % 2 === 0
      ? { method: 'DELETE', path: `/v1/tokens/${id}`, bearer: world.bob }
      : { method: 'POST', path: `/v1/tokens/${id}/rotate`, bearer: world.bob },
  )
  expect(await race(asks)).toEqual({ 404: CONTENDERS })
  expect(await world.stores.tokens.findById(id)).toEqual(before)
  expect(await world.stores.revocations.since('')).toEqual([])
  expect(await tokensOf('bob')).toHaveLength(1)
})

test(`of ${CONTENDERS} who rotate one token each owner’s gets one that is good, no stranger’s any`, async () => {
  const old = await world.give('ann')
  const id = await idOf(world, old)
  const half = CONTENDERS / 2
  expect(await race(byTurns('POST', `/v1/tokens/${id}/rotate`))).toEqual({ 201: half, 404: half })
  expect((await world.stores.tokens.findById(id))?.expiresAt).toBe(START + TOKEN_OVERLAP_MS)
  // Beside these, the one that was rotated and the one that asked.
  expect(await tokensOf('ann')).toHaveLength(half + 2)
  expect(await tokensOf('bob')).toHaveLength(1)
})

test('a token that is revoked while it is rotated leaves no token behind', async () => {
  const old = await world.give('ann')
  const id = await idOf(world, old)
  let held = {} as ReturnType<typeof holdsBack>
  const slow = world.appOn((client) => {
    // Behind the day of use, before the old token is given its end.
    held = holdsBack(client, 'UpdateItemCommand', 1)
    return held.client
  })
  const rotating = callApp(slow, { method: 'POST', path: `/v1/tokens/${id}/rotate`, bearer: world.ann })
  await held.reached
  expect((await world.call({ method: 'DELETE', path: `/v1/tokens/${id}`, bearer: world.root })).status).toBe(204)
  held.letGo()
  expectProblem(await rotating, 'not-found')
  const good = (await tokensOf('ann')).filter(({ tokenStatus }) => tokenStatus === 'active')
  expect(good.map(({ tokenHash: hash }) => hash)).toEqual([tokenHash(new Secret(world.ann))])
})

test('a name that its owner has again while its release is under way stays counted', async () => {
  const ask = { path: '/v1/subdomains/demo', bearer: world.ann }
  await world.call({ ...ask, method: 'PUT' })
  let held = {} as ReturnType<typeof holdsBack>
  const slow = world.appOn((client) => {
    // Behind the reservation, before the count.
    held = holdsBack(client, 'UpdateItemCommand', 1)
    return held.client
  })
  world.at.now = START + 1000
  const releasing = callApp(slow, { ...ask, method: 'DELETE' })
  await held.reached
  // Whoever serves this call has a clock that is behind, or took the time before.
  world.at.now = START + 500
  expect((await world.call({ ...ask, method: 'PUT' })).json).toMatchObject({ released: false })
  held.letGo()
  expect((await releasing).status).toBe(204)
  expect((await world.stores.users.find('ann'))?.subdomains).toEqual({ demo: START + 500 })
})
