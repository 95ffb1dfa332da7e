import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import {
  LOOKUP_MS,
  LOOKUPS_AT_ONCE,
  LOOKUPS_PER_SECOND,
  ROUTE_ABSENT_MS,
  ROUTE_FRESH_MS,
  ROUTES_REMEMBERED,
  TABLE_OUTAGE_MS,
} from '@postern/protocol/limits'
import type { OnlineRoute, Route } from '@postern/protocol/store'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RouteTable } from './route-table.ts'

const name = 'demo' as Subdomain
const row = (epoch: number): OnlineRoute => ({
  ...{ name, slot: 0, epoch, username: 'ann', reservationId: 'r', routeState: 'online', claimedAt: 0 },
  ...{ taskId: 'a', bootId: 'b', connId: 'c', instanceId: 'i', pool: false, tokenHash: 't' },
})

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

interface Read {
  readonly consistent: boolean
  answer(rows: readonly Route[]): void
  fail(fault: TunnelFault): void
}

/** A table that answers when the test says so, and a clock that goes on when it says so. */
function setup() {
  const state = { ms: 1_000_000, owned: true, owner: 'r', fault: undefined as TunnelFault | undefined }
  const reads: Read[] = []
  const ownerReads: string[] = []
  const believed: { before: readonly Route[]; owner: string }[] = []
  const table = new RouteTable({
    routes: {
      list: (_name, { consistent = false } = {}) =>
        new Promise((answer, fail) => {
          reads.push({ consistent, answer: (rows) => answer([...rows]), fail })
        }),
    },
    owners: {
      ownerOf: async (of) => {
        ownerReads.push(of)
        if (state.fault !== undefined) throw state.fault
        return state.owned ? state.owner : undefined
      },
    },
    proofs: {
      believed: async (rows, before, owner) => {
        believed.push({ before, owner })
        return rows.filter((row) => row.routeState === 'offline' || row.proof !== 'forged')
      },
    },
    clock: () => state.ms,
    isLive: () => true,
    now: () => state.ms,
    counts: { lookup: () => {} },
  })
  const pass = async (ms: number): Promise<void> => {
    state.ms += ms
    await vi.advanceTimersByTimeAsync(ms)
  }
  /** The name is known, and its time is over. */
  const known = async (epoch: number): Promise<void> => {
    const look = table.look(name)
    await pass(0)
    reads.at(-1)!.answer([row(epoch)])
    await look
    await pass(ROUTE_FRESH_MS)
  }
  /** Looks for it, and the table has these rows of it. */
  const look = async (rows: readonly Route[], of = name): Promise<TunnelFault | undefined> => {
    const before = reads.length
    const looking = table.look(of)
    await pass(0)
    for (const read of reads.slice(before)) read.answer(rows)
    return looking
  }
  return { table, reads, ownerReads, believed, state, pass, known, look }
}

test('whoever asks for a name that nobody knows waits for a silent table no longer than LOOKUP_MS', async () => {
  const { table, pass } = setup()
  const settled = vi.fn()
  void table.look(name).then(settled)
  await pass(LOOKUP_MS - 1)
  expect(settled).not.toHaveBeenCalled()
  await pass(1)
  expect(settled).toHaveBeenCalledWith(expect.objectContaining({ code: 'store-unavailable' }))
  expect(table.get(name)).toBeUndefined()
})

test('a name that nobody has costs one read in ROUTE_ABSENT_MS, and is found once somebody has it', async () => {
  const { table, reads, ownerReads, state, pass, look } = setup()
  state.owned = false
  expect(await look([])).toBeUndefined()
  expect([table.get(name), table.isOwned(name), table.triedWithin(1, name)]).toEqual([[], false, true])
  await pass(ROUTE_ABSENT_MS)
  expect(table.get(name)).toBeUndefined()
  await look([])
  expect([reads.length, ownerReads.length]).toEqual([0, 2])
  state.owned = true
  await pass(ROUTE_ABSENT_MS)
  await look([row(1)])
  expect([table.get(name), table.isOwned(name), reads.length]).toEqual([[row(1)], true, 1])
})

test('a name with an owner costs a read in ROUTE_ABSENT_MS while nothing serves it; its owner is asked for again after ROUTE_FRESH_MS', async () => {
  const { table, reads, ownerReads, state, pass, look } = setup()
  const looks = ROUTE_FRESH_MS / ROUTE_ABSENT_MS
  for (let n = 0; n < looks; n += 1) {
    await look([])
    expect([table.get(name), table.isOwned(name)]).toEqual([[], true])
    await pass(ROUTE_ABSENT_MS)
  }
  expect([reads.length, ownerReads.length]).toEqual([looks, 1])
  state.owned = false
  await look([])
  expect([table.get(name), table.isOwned(name), ownerReads.length]).toEqual([[], false, 2])
})

test('the owner of a name that is served is asked for once', async () => {
  const { ownerReads, pass, look } = setup()
  for (let n = 0; n < 5; n += 1) {
    await look([row(1)])
    await pass(ROUTE_FRESH_MS)
  }
  expect(ownerReads).toHaveLength(1)
})

test('random names cost no more reads than the budget, also when they come again', async () => {
  const { table, ownerReads, state, pass } = setup()
  state.owned = false
  const scan = async (): Promise<number> => {
    const before = ownerReads.length
    const names = Array.from({ length: 3 * LOOKUPS_AT_ONCE }, (_, n) => `random-${n}` as Subdomain)
    const faults = await Promise.all(names.map((each) => (table.get(each) ? undefined : table.look(each))))
    const refused = faults.filter((fault) => fault?.code === 'lookups-exhausted').length
    expect(refused + ownerReads.length - before).toBeLessThanOrEqual(names.length)
    return ownerReads.length - before
  }
  expect(await scan()).toBe(LOOKUPS_AT_ONCE)
  await pass(ROUTE_ABSENT_MS)
  expect(await scan()).toBe((LOOKUPS_PER_SECOND * ROUTE_ABSENT_MS) / 1000)
})

test('a scan of random names from one address leaves reads to the others', async () => {
  const { table, state } = setup()
  state.owned = false
  const names = Array.from({ length: 3 * LOOKUPS_AT_ONCE }, (_, n) => `random-${n}` as Subdomain)
  const faults = await Promise.all(names.map((each) => table.look(each, 'scan')))
  expect(faults.at(-1)).toMatchObject({ code: 'lookups-exhausted' })
  expect(await table.look(name, 'visitor')).toBeUndefined()
})

test('a scan of random names makes it forget none that has an owner', async () => {
  const { table, state, look, pass } = setup()
  await look([row(1)])
  state.owned = false
  for (let n = 0; n < ROUTES_REMEMBERED + 1; n += LOOKUPS_AT_ONCE) {
    await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, (_, i) => table.look(`random-${n + i}` as Subdomain)))
    await pass((LOOKUPS_AT_ONCE / LOOKUPS_PER_SECOND) * 1000)
  }
  expect([table.remembered(name), table.isOwned(name)]).toEqual([[row(1)], true])
})

test('while the table is out of reach a name that was nobody’s stays so', async () => {
  const { table, state, pass, look } = setup()
  state.owned = false
  await look([])
  await pass(ROUTE_ABSENT_MS)
  state.fault = new TunnelFault('store-unavailable')
  expect(await look([])).toBeUndefined()
  expect([table.get(name), table.isOwned(name)]).toEqual([[], false])
  expect(await look([], 'other' as Subdomain)).toBe(state.fault)
})

test('a table that is silent leaves what was known, for a moment each time', async () => {
  const { table, reads, pass, known } = setup()
  await known(1)
  expect(table.get(name)).toBeUndefined()
  const look = table.look(name)
  await pass(LOOKUP_MS)
  expect(await look).toBeUndefined()
  expect(table.get(name)).toEqual([row(1)])
  await pass(ROUTE_ABSENT_MS)
  expect(table.get(name)).toBeUndefined()
  void table.look(name)
  expect(reads).toHaveLength(3)
})

test('after TABLE_OUTAGE_MS what was known counts no more', async () => {
  const { table, pass, known } = setup()
  await known(1)
  await pass(TABLE_OUTAGE_MS - ROUTE_FRESH_MS - LOOKUP_MS)
  const look = table.look(name)
  await pass(LOOKUP_MS)
  expect(await look).toMatchObject({ code: 'store-unavailable' })
  expect(table.get(name)).toBeUndefined()
})

test('an answer that comes too late for whoever asked serves the next', async () => {
  const { table, reads, pass, known } = setup()
  await known(1)
  const look = table.look(name)
  await pass(LOOKUP_MS)
  await look
  reads.at(-1)!.answer([row(2)])
  await pass(ROUTE_ABSENT_MS)
  expect(table.get(name)).toEqual([row(2)])
})

test('one that was overtaken by a later read does not', async () => {
  const { table, reads, pass, known } = setup()
  await known(1)
  void table.look(name)
  await pass(LOOKUP_MS + ROUTE_ABSENT_MS)
  const look = table.look(name)
  await pass(0)
  reads.at(-1)!.answer([row(3)])
  await look
  reads.at(-2)!.answer([row(2)])
  await pass(1)
  expect(table.get(name)).toEqual([row(3)])
})

test('what its owner says is wrong is asked for strongly consistent until the table has answered, be it silent or failing', async () => {
  const { table, reads, pass, known } = setup()
  await known(1)
  table.doubt(name)
  const silent = table.look(name)
  await pass(LOOKUP_MS)
  expect(await silent).toBeUndefined()
  await pass(ROUTE_ABSENT_MS)
  const failing = table.look(name)
  reads.at(-1)!.fail(new TunnelFault('store-unavailable'))
  expect(await failing).toBeUndefined()
  await pass(ROUTE_ABSENT_MS)
  const answered = table.look(name)
  reads.at(-1)!.answer([row(2)])
  await answered
  await pass(ROUTE_FRESH_MS)
  void table.look(name)
  expect(reads.map(({ consistent }) => consistent)).toEqual([false, true, true, true, false])
})

test('a row that is not believed is not there, and one of another reservation has the owner read again', async () => {
  const { table, ownerReads, believed, state, pass, look } = setup()
  await look([
    { ...row(1), proof: 'good' },
    { ...row(2), proof: 'forged' },
  ])
  expect(table.get(name)?.map(({ epoch }) => epoch)).toEqual([1])
  await pass(ROUTE_FRESH_MS)
  state.owner = 'r2'
  await look([{ ...row(3), reservationId: 'r2', proof: 'good' }])
  expect([ownerReads.length, believed.map(({ owner }) => owner)]).toEqual([2, ['r', 'r2']])
  expect(believed[1]!.before.map(({ epoch }) => epoch)).toEqual([1])
})
