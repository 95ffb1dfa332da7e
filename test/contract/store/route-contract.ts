/** What every place promises about routes: epochs, fences, and who may take a slot from whom. */
import { DeleteItemCommand, GetItemCommand } from '@aws-sdk/client-dynamodb'
import { ROUTE_PURGE_AFTER_MS } from '@postern/protocol/limits'
import { openStore, type Stores } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import type { OpenPlace } from './place.ts'
import { claim, idsInOrder, NOW, range, unique } from './samples.ts'

export function routeContract(place: () => OpenPlace): void {
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })

  test('a claim shows in the list of its name, with what the hop needs', async () => {
    const call = claim({ slot: 3, pool: true })
    const { epoch, replaced } = await stores.routes.claim(call)
    expect(replaced).toBeUndefined()
    const { now, ...owner } = call
    expect(await stores.routes.list(call.name)).toEqual([{ ...owner, epoch, routeState: 'online', claimedAt: now }])
  })

  test('slots of a name are listed in order, and those of another name are not', async () => {
    const [name, other] = [unique('demo'), unique('demo')]
    for (const slot of [7, 0, 3]) await stores.routes.claim(claim({ name, slot }))
    await stores.routes.claim(claim({ name: other }))
    expect((await stores.routes.list(name, { consistent: true })).map(({ slot }) => slot)).toEqual([0, 3, 7])
  })

  test('50 claims at once all get different epochs, and the last one written is the owner', async () => {
    const name = unique('demo')
    const claims = range(50).map(() => claim({ name }))
    const epochs = await Promise.all(claims.map(async (call) => (await stores.routes.claim(call)).epoch))
    expect(new Set(epochs).size).toBe(50)
    const [route] = await stores.routes.list(name, { consistent: true })
    const highest = epochs.indexOf(Math.max(...epochs))
    expect(route).toMatchObject({ epoch: epochs[highest], connId: claims[highest]?.connId })
  })

  test('what an agent says of itself, and whom it replaced, stands with its claim and goes with the next', async () => {
    const name = unique('demo')
    const ousted = new Set(['former', 'asleep'])
    const call = claim({ name, agentSlot: 2, label: 'desk (pid 7)', ousted })
    const { epoch } = await stores.routes.claim(call)
    const [route] = await stores.routes.list(name, { consistent: true })
    expect(route).toMatchObject({ agentSlot: 2, label: 'desk (pid 7)', ousted })
    await stores.routes.claim(claim({ name, ousted: new Set() }))
    const [next] = await stores.routes.list(name, { consistent: true })
    expect(next).toMatchObject({ epoch: epoch + 1 })
    for (const attribute of ['agentSlot', 'label', 'ousted']) expect(next).not.toHaveProperty(attribute)
  })

  test('each claim tells what it replaced', async () => {
    const name = unique('demo')
    const first = claim({ name, instanceId: 'one' })
    const { epoch } = await stores.routes.claim(first)
    const { replaced } = await stores.routes.claim(claim({ name, instanceId: 'two' }))
    expect(replaced).toMatchObject({ routeState: 'online', instanceId: 'one', connId: first.connId, epoch })
  })

  test('of 50 rival reservations the latest has the name in the end, whatever the order, and no earlier one gets it after', async () => {
    const name = unique('demo')
    const newId = idsInOrder()
    const claims = range(50).map(() => claim({ name, reservationId: newId() }))
    const shuffled = claims.toSorted((a, b) => (a.connId < b.connId ? -1 : 1))
    await Promise.allSettled(shuffled.map((call) => stores.routes.claim(call)))
    const latest = claims.at(-1)
    const [route] = await stores.routes.list(name, { consistent: true })
    expect(route).toMatchObject({ connId: latest?.connId, reservationId: latest?.reservationId })
    for (const call of claims.slice(0, -1)) {
      await expect(stores.routes.claim(call)).rejects.toMatchObject({ code: 'subdomain-taken' })
    }
  })

  test('an earlier owner does not get the name back from an offline slot either', async () => {
    const name = unique('demo')
    const newId = idsInOrder()
    const [earlier, later] = [newId(), newId()]
    const call = claim({ name, reservationId: later })
    const { epoch } = await stores.routes.claim(call)
    await stores.routes.release({ name, slot: 0, connId: call.connId, epoch, now: NOW })
    await expect(stores.routes.claim(claim({ name, reservationId: earlier }))).rejects.toMatchObject({
      code: 'subdomain-taken',
    })
  })

  test('of 50 that claim a slot on the epoch they read exactly one gets it', async () => {
    const name = unique('demo')
    const contend = (epoch: number | undefined) =>
      Promise.allSettled(range(50).map(() => stores.routes.claim(claim({ name, epochRead: { epoch } }))))
    const won = (outcomes: PromiseSettledResult<{ epoch: number }>[]) =>
      outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value.epoch] : []))
    const first = won(await contend(undefined))
    expect(first).toHaveLength(1)
    expect(won(await contend(undefined))).toHaveLength(0)
    const second = await contend(first[0])
    expect(won(second)).toEqual([(first[0] ?? 0) + 1])
    expect(second.filter((each) => each.status === 'rejected' && each.reason.code === 'superseded')).toHaveLength(49)
  })

  test('a released slot is offline, without its owner, and says since when', async () => {
    const call = claim()
    const { epoch } = await stores.routes.claim(call)
    expect(await stores.routes.release({ ...call, epoch, now: NOW + 5 })).toBe(true)
    expect(await stores.routes.list(call.name, { consistent: true })).toEqual([
      {
        name: call.name,
        slot: 0,
        epoch,
        username: 'ann',
        reservationId: call.reservationId,
        // Who had it last: should that agent come back, it shall find whoever has it then.
        instanceId: call.instanceId,
        pool: false,
        routeState: 'offline',
        offlineSince: NOW + 5,
        awayUntil: NOW + 5,
        holdMs: 0,
        heldUntil: NOW + 5,
      },
    ])
  })

  test('a released slot says how long its agent counts as away, until it is claimed again', async () => {
    const call = claim()
    const { epoch } = await stores.routes.claim(call)
    const wait = { awayUntil: NOW + 60_000, holdMs: 700, heldUntil: NOW + 800 }
    await stores.routes.release({ ...call, epoch, now: NOW, wait })
    expect(await stores.routes.list(call.name, { consistent: true })).toMatchObject([
      { routeState: 'offline', ...wait },
    ])
    await stores.routes.claim(call)
    const [row] = await stores.routes.list(call.name, { consistent: true })
    for (const name of Object.keys(wait)) expect(row).not.toHaveProperty(name)
  })

  test('an offline slot is purged after 30 days, and one that is claimed again is not', async () => {
    const { client, tableName } = place()
    const call = claim()
    const purgeAt = async () => {
      const Key = { pk: { S: `ROUTE#${call.name}` }, sk: { S: 'CONN#0' } }
      const { Item } = await client.patient.send(
        new GetItemCommand({ TableName: tableName, Key, ConsistentRead: true }),
      )
      return Item?.purgeAt?.N
    }
    const { epoch } = await stores.routes.claim(call)
    await stores.routes.release({ ...call, epoch, now: NOW })
    expect(await purgeAt()).toBe(String((NOW + ROUTE_PURGE_AFTER_MS) / 1000))
    await stores.routes.claim(call)
    expect(await purgeAt()).toBeUndefined()
  })

  test('a stale release changes nothing: not by epoch, not by connection, not twice', async () => {
    const name = unique('demo')
    const old = claim({ name })
    const current = claim({ name })
    const { epoch: oldEpoch } = await stores.routes.claim(old)
    const { epoch } = await stores.routes.claim(current)
    const stale = { name, slot: 0, now: NOW }
    expect(await stores.routes.release({ ...stale, connId: old.connId, epoch: oldEpoch })).toBe(false)
    expect(await stores.routes.release({ ...stale, connId: old.connId, epoch })).toBe(false)
    expect(await stores.routes.release({ ...stale, connId: current.connId, epoch: oldEpoch })).toBe(false)
    expect(await stores.routes.list(name, { consistent: true })).toMatchObject([{ routeState: 'online', epoch }])
    expect(await stores.routes.release({ ...stale, connId: current.connId, epoch })).toBe(true)
    expect(await stores.routes.release({ ...stale, connId: current.connId, epoch })).toBe(false)
  })

  test('epochs rise over claims, releases and a purge, even when the clock went back an hour in between', async () => {
    const name = unique('demo')
    const epochs: number[] = []
    const cycle = async (now: number) => {
      const call = claim({ name, now })
      const { epoch } = await stores.routes.claim(call)
      epochs.push(epoch)
      await stores.routes.release({ name, slot: 0, connId: call.connId, epoch, now })
    }
    await cycle(NOW)
    await cycle(NOW - 3_600_000)
    await cycle(NOW + 1)
    const { client, tableName } = place()
    const Key = { pk: { S: `ROUTE#${name}` }, sk: { S: 'CONN#0' } }
    await client.patient.send(new DeleteItemCommand({ TableName: tableName, Key }))
    await cycle(NOW + 1 + ROUTE_PURGE_AFTER_MS)
    await cycle(NOW + 2 + ROUTE_PURGE_AFTER_MS)
    expect(epochs).toEqual(epochs.toSorted((a, b) => a - b))
    expect(new Set(epochs).size).toBe(epochs.length)
  })

  test.each([-1, 8, 0.5])('there is no slot %d', async (slot) => {
    await expect(stores.routes.claim(claim({ slot }))).rejects.toMatchObject({ code: 'hello-invalid' })
  })
}
