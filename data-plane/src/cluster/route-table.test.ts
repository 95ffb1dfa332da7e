import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { LOOKUP_MS, ROUTE_ABSENT_MS, ROUTE_FRESH_MS, TABLE_OUTAGE_MS } from '@postern/protocol/limits'
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
  const state = { ms: 1_000_000 }
  const reads: Read[] = []
  const table = new RouteTable({
    routes: {
      list: (_name, { consistent = false } = {}) =>
        new Promise((answer, fail) => {
          reads.push({ consistent, answer: (rows) => answer([...rows]), fail })
        }),
    },
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
    reads.at(-1)!.answer([row(epoch)])
    await look
    await pass(ROUTE_FRESH_MS)
  }
  return { table, reads, state, pass, known }
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
