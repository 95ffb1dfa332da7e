/** What every place promises about the list of tunnels, the audit and the counters of failures. */
import { AUDIT_PURGE_AFTER_MS, FAILED_AUTH_PURGE_AFTER_MS, TUNNEL_PURGE_AFTER_MS } from '@postern/protocol/limits'
import { type AuditEntry, openStore, type Stores, type TunnelRow } from '@postern/protocol/store'
import { beforeEach, expect, test } from 'vitest'
import type { OpenPlace } from './place.ts'
import { idsInOrder, NOW, range, unique } from './samples.ts'
import { purgeAtOf, putItem, storedItem } from './stored-item.ts'
import { itemsOf, walk } from './walk.ts'

const DAY_MS = 86_400_000

const tunnel = (changes: Partial<TunnelRow> = {}): TunnelRow => ({
  name: unique('demo'),
  slot: 0,
  username: 'ann',
  taskId: 'task-1',
  bootId: 'boot-1',
  connId: unique('conn'),
  epoch: NOW + 1,
  claimedAt: NOW,
  ...changes,
})

const entry = (changes: Partial<AuditEntry> = {}): Omit<AuditEntry, 'at'> => ({
  actor: 'ann',
  tokenId: '01J00000000000000000000001',
  action: 'revokeToken',
  target: unique('target'),
  ip: '192.0.2.1',
  result: 'done',
  ...changes,
})

export function recordContract(place: () => OpenPlace): void {
  const newId = idsInOrder()
  let stores: Stores
  beforeEach(() => {
    stores = openStore(place())
  })

  /** A day that no other test writes to. */
  let lastDay = NOW - (NOW % DAY_MS)
  const newDay = () => {
    lastDay += 2 * DAY_MS
    return { start: lastDay, day: new Date(lastDay).toISOString().slice(0, 10) }
  }

  const tunnelsFrom = async (prefix: string, limit = 50) => {
    const pages = await walk(stores.tunnels.list, { limit, after: prefix })
    return itemsOf(pages).filter(({ name }) => name.startsWith(prefix))
  }

  test('tunnels are listed by name and slot, each once, whatever the size of the page', async () => {
    const prefix = unique('zz')
    const rows = range(7).map((i) => tunnel({ name: `${prefix}-${i >> 1}`, slot: i % 2 }))
    for (const row of rows.toReversed()) await stores.tunnels.put(row)
    for (const limit of [1, 2, 3, 6, 7, 8]) expect(await tunnelsFrom(prefix, limit)).toEqual(rows)
  })

  test('a channel that takes a slot over has the row, and is purged three days after its claim', async () => {
    const first = tunnel()
    const second = { ...first, connId: unique('conn'), epoch: first.epoch + 1, claimedAt: NOW + 5000 }
    await stores.tunnels.put(first)
    await stores.tunnels.put(second)
    expect(await tunnelsFrom(first.name)).toEqual([second])
    const purgeAt = await purgeAtOf(place(), 'TUNNELS', `${first.name}#0`)
    expect(purgeAt).toBe((NOW + 5000 + TUNNEL_PURGE_AFTER_MS) / 1000)
  })

  test('a row that comes later than that of the next channel changes nothing; one that is put again does no harm', async () => {
    const first = tunnel()
    const second = { ...first, connId: unique('conn'), epoch: first.epoch + 1 }
    await stores.tunnels.put(second)
    await stores.tunnels.put(first)
    await stores.tunnels.put(second)
    expect(await tunnelsFrom(first.name)).toEqual([second])
  })

  test('49 channels that had the slot before remove nothing, and the one that has it removes its row', async () => {
    const row = tunnel()
    await stores.tunnels.put(row)
    const stale = range(49).map(() => ({ ...row, connId: unique('conn') }))
    await Promise.all(stale.map((call) => stores.tunnels.remove(call)))
    expect(await tunnelsFrom(row.name)).toEqual([row])
    await Promise.all([...stale, row].map((call) => stores.tunnels.remove(call)))
    expect(await tunnelsFrom(row.name)).toEqual([])
    await stores.tunnels.remove(row)
  })

  test('what was done stands in the list of its day, in the order of time, the last millisecond of it included', async () => {
    const { start, day } = newDay()
    const times = [start, start + 1, start + 2, start + DAY_MS - 1, start + DAY_MS]
    const calls = times.map((now) => ({ ...entry(), now, newId }))
    for (const call of calls.toReversed()) await stores.audit.add(call)
    const { items } = await stores.audit.list(day, { limit: 10 })
    expect(items).toEqual(calls.slice(0, 4).map(({ now, newId: _, ...rest }) => ({ ...rest, at: now })))
    const next = new Date(start + DAY_MS).toISOString().slice(0, 10)
    expect((await stores.audit.list(next, { limit: 10 })).items).toMatchObject([{ target: calls[4]?.target }])
  })

  test('50 entries of one millisecond are all there, and read once each by pages', async () => {
    const { start, day } = newDay()
    const entries = range(50).map(() => entry())
    await Promise.all(entries.map((each) => stores.audit.add({ ...each, now: start, newId })))
    const pages = await walk((call) => stores.audit.list(day, call), { limit: 7 })
    expect(pages.map(({ items }) => items.length)).toEqual([7, 7, 7, 7, 7, 7, 7, 1])
    const targets = itemsOf(pages).map(({ target }) => target)
    expect(targets.toSorted()).toEqual(entries.map(({ target }) => target).toSorted())
  })

  test('an entry without a token has none, and goes after 90 days', async () => {
    const { start, day } = newDay()
    const { tokenId: _, ...deployer } = entry({ actor: 'deployer' })
    const id = newId()
    await stores.audit.add({ ...deployer, now: start, newId: () => id })
    expect((await stores.audit.list(day, { limit: 1 })).items).toEqual([{ ...deployer, at: start }])
    const key = `${String(start).padStart(15, '0')}#${id}`
    expect(await purgeAtOf(place(), `AUDIT#${day}`, key)).toBe((start + AUDIT_PURGE_AFTER_MS) / 1000)
  })

  test('what nodes report is read in order with what the control plane did, marked, by pages of any size', async () => {
    const { start, day } = newDay()
    const { tokenId: _, ...used } = entry({ action: 'useTicket' })
    const calls = range(9).map((i) => ({ ...used, target: `target-${i}`, now: start + i, newId }))
    for (const [i, call] of calls.entries()) await (i % 3 === 1 ? stores.nodeAudit : stores.audit).add(call)
    for (const limit of [1, 2, 3, 4, 9, 10]) {
      const items = itemsOf(await walk((call) => stores.audit.list(day, call), { limit }))
      expect(items.map(({ target }) => target)).toEqual(calls.map(({ target }) => target))
      expect(items.map(({ reportedBy }) => reportedBy === 'node')).toEqual(range(9).map((i) => i % 3 === 1))
    }
  })

  test('a node writes to the lists of nodes alone, for 90 days', async () => {
    const { start, day } = newDay()
    const { tokenId: _, ...used } = entry({ action: 'useTicket' })
    await stores.nodeAudit.add({ ...used, now: start, newId: () => 'id' })
    const key = `${String(start).padStart(15, '0')}#id`
    expect(await purgeAtOf(place(), `NODE-AUDIT#${day}`, key)).toBe((start + AUDIT_PURGE_AFTER_MS) / 1000)
    expect(await storedItem(place(), `AUDIT#${day}`, key)).toBeUndefined()
  })

  test('what a node forges is marked as its own, and neither changes nor hides an entry of another', async () => {
    const { start, day } = newDay()
    const real = entry({ target: 'real' })
    await stores.audit.add({ ...real, now: start + 1, newId: () => 'id' })
    const forged = { pk: `NODE-AUDIT#${day}`, actor: 'ann', ip: '192.0.2.9', result: 'done', target: 'forged' }
    // The key of the real entry; an action of the control plane; a time that is none.
    await putItem(place(), { ...forged, sk: `${String(start + 1).padStart(15, '0')}#id`, action: 'deleteUser' })
    await putItem(place(), { ...forged, sk: 'zzz', action: 'useTicket', at: 'never' })
    for (const limit of [1, 2, 10]) {
      const items = itemsOf(await walk((call) => stores.audit.list(day, call), { limit }))
      expect(items.filter(({ reportedBy }) => reportedBy === undefined)).toEqual([{ ...real, at: start + 1 }])
      for (const each of items.filter(({ reportedBy }) => reportedBy === 'node'))
        expect(each).toMatchObject({ action: 'unreadable', actor: '' })
    }
  })

  test('what a node spoils hides nothing else of a list', async () => {
    const spoilt = unique('spoilt')
    const whole = tunnel({ name: unique('whole') })
    const task = {
      ...{ taskId: unique('task'), bootId: 'boot', addr: '10.0.0.1:7100', draining: false, tunnels: 0 },
      version: '1',
    }
    for (const pk of ['TUNNELS', 'TASKS', `ROUTE#${whole.name}`]) await putItem(place(), { pk, sk: spoilt })
    await stores.tunnels.put(whole)
    await stores.tasks.renew({ ...task, now: NOW })
    expect(itemsOf(await walk((call) => stores.tunnels.list(call), { limit: 2 }))).toContainEqual(whole)
    expect((await stores.tasks.list()).map(({ taskId }) => taskId)).toContain(task.taskId)
    expect(await stores.routes.list(whole.name)).toEqual([])
  })

  test('a page that ends because its items are large says where the next begins', async () => {
    const { start, day } = newDay()
    for (const i of range(5))
      await stores.audit.add({ ...entry({ target: 'x'.repeat(300_000) }), now: start + i, newId })
    const pages = await walk((call) => stores.audit.list(day, call), { limit: 10 })
    expect(pages.length).toBeGreaterThan(1)
    expect(itemsOf(pages).map(({ at }) => at)).toEqual(range(5).map((i) => start + i))
  })

  test('a day on which nothing was done has an empty list', async () => {
    expect(await stores.audit.list('1999-12-31', { limit: 5 })).toEqual({ items: [] })
  })

  test('50 failures of one address at once are counted from 1 to 50, each once', async () => {
    const address = `2001:db8:${unique('x')}::/64`
    const counts = await Promise.all(range(50).map(() => stores.failedAuth.count({ address, now: NOW })))
    expect(counts.toSorted((a, b) => a - b)).toEqual(range(50).map((i) => i + 1))
  })

  test('each address and each minute is counted by itself, and forgotten minutes later', async () => {
    const [address, other] = [unique('192.0.2'), unique('192.0.2')]
    const minute = NOW - (NOW % 60_000)
    const count = (of: string, now: number) => stores.failedAuth.count({ address: of, now })
    expect(await count(address, minute)).toBe(1)
    expect(await count(address, minute + 59_999)).toBe(2)
    expect(await count(other, minute)).toBe(1)
    expect(await count(address, minute + 60_000)).toBe(1)
    expect(await count(address, minute - 1)).toBe(1)
    const purgeAt = await purgeAtOf(place(), `RL#${address}#${minute / 60_000}`, 'RL')
    expect(purgeAt).toBe(Math.ceil((minute + 59_999 + FAILED_AUTH_PURGE_AFTER_MS) / 1000))
  })
}
