/** Agents that ask for slots of one name at once, over several tasks: who gets them, on the embedded store. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type EmbeddedTable, startEmbeddedTable } from '@postern/local/embedded-table'
import type { Hello } from '@postern/protocol/channel'
import { toFault } from '@postern/protocol/fault'
import { SLOTS_PER_NAME } from '@postern/protocol/limits'
import { type DynamoClient, openStore, type Stores } from '@postern/protocol/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { claimRoute, type Loss } from '../../data-plane/src/channel/claim-route.ts'
import { recordedTunnel } from '../../data-plane/src/testing/recorded-tunnel.ts'
import { range, unique } from '../contract/store/samples.ts'
import { unhurriedClient } from '../support/unhurried-client.ts'

let table: EmbeddedTable
let client: DynamoClient
let stores: Stores
beforeAll(async () => {
  table = await startEmbeddedTable()
  client = unhurriedClient(table.endpoint)
  stores = openStore({ tableName: table.tableName, client })
})
afterAll(async () => {
  client?.destroy()
  await table?.stop()
})

/** One channel of an agent that asks for a slot on some task. */
async function ask(name: string, changes: Partial<Hello>, told: Loss[] = []) {
  const { ticket } = recordedTunnel({ subdomain: name, reservationId: 'r' })
  const hello: Hello = {
    type: 'hello',
    version: '1',
    instanceId: randomUUID(),
    slot: 0,
    pool: true,
    rules: {},
    ...changes,
  }
  const connId = randomUUID()
  try {
    const claim = await claimRoute(ticket, hello, connId, {
      routes: stores.routes,
      tunnels: stores.tunnels,
      ...{ taskId: 'task', bootId: 'boot', clock: Date.now, now: () => performance.now(), random: Math.random },
      readLiveTasks: async () => () => true,
      tell: async (loss) => void told.push(loss),
      untold: () => {},
      unlisted: () => {},
      sleep: (ms) => delay(ms),
    })
    return { hello, connId, claim, slot: claim.slot }
  } catch (error) {
    return { hello, connId, fault: toFault(error).code }
  }
}

test('of 200 that pool at once eight get a slot each, all others are told that the pool is full', async () => {
  const name = unique('crowd')
  const outcomes = await Promise.all(range(200).map(() => ask(name, {})))
  const won = outcomes.filter((outcome) => outcome.claim !== undefined)
  expect(won.map(({ slot }) => slot).sort()).toEqual(range(SLOTS_PER_NAME))
  const lost = outcomes.filter((outcome) => outcome.fault !== undefined).map(({ fault }) => fault)
  expect(new Set(lost)).toEqual(new Set(['pool-full']))
  expect(lost).toHaveLength(200 - SLOTS_PER_NAME)
  const routes = await stores.routes.list(name, { consistent: true })
  for (const route of routes) {
    const winner = won.find(({ slot }) => slot === route.slot)
    expect(route).toMatchObject({ routeState: 'online', connId: winner?.connId, epoch: winner?.claim?.epoch })
  }
})

test('slots that go free are taken again, each by one of those that ask then', async () => {
  const name = unique('turns')
  const first = await Promise.all(range(SLOTS_PER_NAME).map(() => ask(name, {})))
  for (const { claim } of first.slice(0, 3)) await claim?.release('left', 0)
  const freed = first.slice(0, 3).map(({ slot }) => slot)
  const second = await Promise.all(range(50).map(() => ask(name, {})))
  const won = second.flatMap(({ slot }) => (slot === undefined ? [] : [slot]))
  expect(won.sort()).toEqual(freed.sort())
})

test('of 50 that do not pool one has the name in the end, alone; each of the others was told once, or refused', async () => {
  const name = unique('contested')
  const told: Loss[] = []
  const outcomes = await Promise.all(range(50).map(() => ask(name, { pool: false }, told)))
  for (const { claim } of outcomes) await claim?.settle()
  const online = (await stores.routes.list(name, { consistent: true })).filter((route) => route.routeState === 'online')
  expect(online).toHaveLength(1)
  const losers = told.map(({ lost }) => lost.connId)
  expect(new Set(losers).size).toBe(losers.length)
  const won = outcomes.filter((outcome) => outcome.claim !== undefined).map(({ connId }) => connId)
  expect(new Set([...losers, online[0]!.routeState === 'online' && online[0]!.connId])).toEqual(new Set(won))
  // Whoever lost does not come back with its old self.
  const latest = told.toSorted((a, b) => b.lost.epoch - a.lost.epoch)[0]!.lost.connId
  const loser = outcomes.find(({ connId }) => connId === latest)!
  const back = await ask(name, { pool: false, instanceId: loser.hello.instanceId })
  expect(back.fault).toBe('superseded')
})

test('the channels of one agent replace one another by their number, however many ask at once', async () => {
  const name = unique('moving')
  const instanceId = randomUUID()
  const others = await Promise.all(range(3).map(() => ask(name, {})))
  for (let round = 0; round < 5; round += 1) {
    const own = await Promise.all(range(2).map((slot) => ask(name, { instanceId, slot })))
    expect(own.map(({ fault }) => fault)).toEqual([undefined, undefined])
    const online = (await stores.routes.list(name, { consistent: true })).filter(
      (route) => route.routeState === 'online',
    )
    expect(online).toHaveLength(5)
    for (const { connId } of others) expect(online.some((route) => route.connId === connId)).toBe(true)
    for (const { connId } of own) expect(online.some((route) => route.connId === connId)).toBe(true)
  }
})
