import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import {
  AWAY_MS,
  HOLD_LOOKS_MS,
  HOLD_MS,
  HOP_REFUSED_MS,
  LEASE_MS,
  LOOKUPS_AT_ONCE,
  ROUTE_ABSENT_MS,
  ROUTE_FRESH_MS,
  STRANGER_LOOK_MS,
  TABLE_OUTAGE_MS,
  TASKS_POLL_MS,
} from '@postern/protocol/limits'
import type { OnlineRoute, Route as TableRoute, Task } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { Sought } from '../dispatch/sought.ts'
import type { HopStream } from '../route/hop-stream.ts'
import { type Hop, PeerRoute } from '../route/peer-route.ts'
import type { Route } from '../route/route.ts'
import type { PeerState } from './peers.ts'
import { RemoteRoutes } from './remote-routes.ts'
import { RouteTable } from './route-table.ts'
import { TaskView } from './task-view.ts'

const name = 'demo' as Subdomain
const self = { taskId: 'self', bootId: 'b-self' }
const asker = { visitorAddress: '192.0.2.1', requestId: 'r1' }

const online = (taskId: string, changes: Partial<OnlineRoute> = {}): OnlineRoute => ({
  ...{ name, slot: 0, epoch: 5, username: 'ann', reservationId: 'r', routeState: 'online', claimedAt: 0 },
  ...{ taskId, bootId: `b-${taskId}`, connId: 'c', instanceId: 'i', pool: false, tokenHash: 't' },
  ...changes,
})
const offline = (wait: { awayUntil?: number; holdMs?: number; heldUntil?: number }): TableRoute => ({
  ...{ name, slot: 0, epoch: 5, username: 'ann', reservationId: 'r', routeState: 'offline', offlineSince: 0 },
  ...wait,
})
const task = (taskId: string): Task => ({
  ...{
    taskId,
    bootId: `b-${taskId}`,
    addr: `${taskId}:7100`,
    leaseUntil: 1,
    draining: false,
    tunnels: 1,
    version: '1',
  },
})

class TestHop implements Hop {
  open = true
  readonly streams = new Set<HopStream>()
  #ids = 1
  openStream() {
    const id = this.#ids
    this.#ids += 2
    return { id, listen() {}, write: () => true, end() {}, reset() {}, consume() {} }
  }
  add(stream: HopStream): void {
    this.streams.add(stream)
  }
  remove(stream: HopStream): void {
    this.streams.delete(stream)
  }
  busy(): void {}
  takeFailure(): undefined {}
}

/** A table, nodes and peers that the test controls. A channel to a node is open at once, unless `down` names the node. @param alone without a key for other nodes */
async function setup({ rows = [] as TableRoute[], tasks = ['a', 'b', 'self'], alone = false } = {}) {
  const state = {
    ms: 1_000_000,
    rows,
    tasks: tasks.map(task),
    reads: [] as boolean[],
    /** A name with a row has one. */
    owned: undefined as boolean | undefined,
    ownerReads: 0,
    broken: false,
    down: new Map<string, PeerState>(),
    hops: new Map<string, TestHop>(),
    failed: 0,
    ended: [] as Route[],
    claiming: false,
  }
  const now = (): number => state.ms
  const timers: { ms: number; run: () => void }[] = []
  const list = new TaskView({ tasks: { list: async () => state.tasks }, ...self, now })
  await list.round()
  /** The tasks of those ids go on living. */
  const renew = async (...ids: string[]): Promise<void> => {
    state.tasks = state.tasks.map((each) =>
      ids.includes(each.taskId) ? { ...each, leaseUntil: each.leaseUntil + 1 } : each,
    )
    await list.round()
  }
  const table = new RouteTable({
    routes: {
      list: async (_name, { consistent = false } = {}) => {
        state.reads.push(consistent)
        if (state.broken) throw new TunnelFault('store-unavailable')
        return [...state.rows]
      },
    },
    owners: {
      ownerOf: async () => {
        state.ownerReads += 1
        return (state.owned ?? state.rows.length > 0) ? 'r' : undefined
      },
    },
    proofs: { believed: async (rows) => rows },
    clock: now,
    isLive: (row) => row.routeState === 'online' && list.find(row.taskId, row.bootId) !== undefined,
    now,
    counts: { lookup: () => {} },
  })
  const routes = new RemoteRoutes({
    self,
    table,
    tasks: list,
    peers: alone
      ? undefined
      : {
          channel: ({ taskId }) => state.hops.get(taskId),
          state: ({ taskId }) => state.down.get(taskId) ?? (state.hops.has(taskId) ? 'open' : 'unknown'),
          reach: async ({ taskId }) => void (state.down.has(taskId) || state.hops.set(taskId, new TestHop())),
        },
    claiming: () => state.claiming,
    clock: now,
    now,
    after: (ms, run) => {
      const timer = { ms, run }
      timers.push(timer)
      return () => timers.splice(timers.indexOf(timer), 1)
    },
    endOn: (route) => void state.ended.push(route),
    counts: {
      hop: () => {},
      hopFailed: () => {
        state.failed += 1
      },
    },
  })
  /** As a request does: again and again, until there is an answer. */
  const find = async (): Promise<Route | TunnelFault | undefined> => {
    for (let rounds = 0; rounds < 10; rounds += 1) {
      const found = routes.find(name)
      if (!(found instanceof Sought)) return found
      const fault = await found.settled
      if (fault !== undefined) return fault
    }
    throw new Error('it is sought for ever')
  }
  const epochOf = (found: unknown): number | undefined => (found instanceof PeerRoute ? found.epoch : undefined)
  return { routes, table, state, timers, find, epochOf, renew, list }
}

test('the reads of one address that asks for names that nobody has leave some to the others', async () => {
  const { routes, state } = await setup()
  const look = async (host: string, address: string) => {
    const found = routes.find(host as Subdomain, address)
    return found instanceof Sought ? found.settled : found
  }
  const scan = await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, (_, n) => look(`random-${n}`, 'scan')))
  expect(scan.at(-1)).toMatchObject({ code: 'lookups-exhausted' })
  state.rows = [online('a')]
  expect(await look(name, 'scan')).toMatchObject({ code: 'lookups-exhausted' })
  expect(await look(name, 'visitor')).toBeUndefined()
})

test('a name of another task is read once and its task reached once; then it is found without waiting, for a minute', async () => {
  const { routes, state, find } = await setup({ rows: [online('a')] })
  const route = await find()
  expect(route).toBeInstanceOf(PeerRoute)
  expect((route as PeerRoute).queue.tenant).toBe('ann')
  for (let n = 0; n < 100; n += 1) expect(routes.find(name)).toBe(route)
  expect(state.reads).toEqual([false])
  state.ms += ROUTE_FRESH_MS
  expect(routes.find(name)).toBeInstanceOf(Sought)
  expect(await find()).toBe(route)
  expect(state.reads).toHaveLength(2)
})

test('a channel that is about to end: what is under way on its route is ended, and nothing new takes it', async () => {
  const { routes, state, find } = await setup({ rows: [online('a')] })
  const route = await find()
  if (!(route instanceof PeerRoute)) throw new Error('it is not found')
  route.ending()
  expect(state.ended).toEqual([route])
  expect(await find()).toBeUndefined()
  expect(routes.isAway(name)).toBe(true)
})

test('a request that waits for a stream of a route that is withdrawn looks for another, and does not find that one', async () => {
  const { routes, find } = await setup({ rows: [online('a')] })
  const route = await find()
  if (!(route instanceof PeerRoute)) throw new Error('it is not found')
  const found: unknown[] = []
  route.queue.enter({
    addressKey: 'a',
    retry: () => found.push(routes.find(name)),
    displaced: () => expect.unreachable(),
  })
  routes.withdrawn(name, route.epoch)
  await Promise.resolve()
  expect(found).toHaveLength(1)
  expect(found[0]).not.toBeInstanceOf(PeerRoute)
  expect(route.queue.size).toBe(0)
})

test('a name that has a channel here too is looked for while nobody waits, and goes to another task only for less than is under way here', async () => {
  const shared = { pool: true }
  const { routes, state, epochOf } = await setup({
    rows: [
      online('self', shared),
      online('a', { ...shared, slot: 1, epoch: 6 }),
      online('b', { ...shared, slot: 2, epoch: 7 }),
      online('b', { slot: 3, epoch: 8 }),
    ],
  })
  expect(routes.lessBusy(name, 1)).toBeUndefined()
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  await settled()
  expect(routes.lessBusy(name, 1)).toBeUndefined()
  await settled()
  expect(state.reads).toEqual([false])
  const first = routes.lessBusy(name, 1)
  expect(epochOf(first)).toBe(6)
  const leases = [first!.lease('idle', asker)]
  const second = routes.lessBusy(name, 1)
  expect(epochOf(second)).toBe(7)
  leases.push(second!.lease('idle', asker))
  expect(routes.lessBusy(name, 1)).toBeUndefined()
  expect(epochOf(routes.lessBusy(name, 2))).toBe(6)
  leases[0]!.stream.reset()
  expect(epochOf(routes.lessBusy(name, 1))).toBe(6)
  expect(state.reads).toEqual([false])
})

test('those who ask at the same time share one read', async () => {
  const { state, find } = await setup({ rows: [online('a')] })
  await Promise.all(Array.from({ length: 50 }, find))
  expect(state.reads).toHaveLength(1)
})

test('a name that nobody has is not asked for again within three seconds', async () => {
  const { routes, state, find } = await setup()
  expect(await find()).toBeUndefined()
  expect([state.reads, state.ownerReads]).toEqual([[], 1])
  state.ms += ROUTE_ABSENT_MS - 1
  expect(routes.find(name)).toBeUndefined()
  expect([routes.isAway(name), routes.isOwned(name)]).toEqual([false, false])
  state.ms += 1
  expect(routes.find(name)).toBeInstanceOf(Sought)
})

test('a name with an owner is never nobody’s: not before its first agent, nor when the last one has been away for long', async () => {
  const { routes, state, find } = await setup()
  state.owned = true
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.isOwned(name)]).toEqual([false, true])
  state.rows = [offline({ awayUntil: state.ms + AWAY_MS })]
  state.ms += ROUTE_ABSENT_MS
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.isOwned(name)]).toEqual([true, true])
  state.ms += AWAY_MS
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.isOwned(name)]).toEqual([false, true])
  state.owned = false
  state.ms += ROUTE_FRESH_MS
  expect(await find()).toBeUndefined()
  expect(routes.isOwned(name)).toBe(false)
})

test.each([
  ['without a key for other tasks', true],
  ['whose address answers nobody', false],
])(
  'a task that was killed leaves its lease behind: until it is seen to renew it, its names are waited for (%s)',
  async (_how, alone) => {
    const { routes, state, find, renew } = await setup({ rows: [online('a')], alone })
    state.down.set('a', 'silent')
    expect(await find()).toBeUndefined()
    expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, HOLD_MS])
    await renew('b', 'self')
    expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, HOLD_MS])
    await renew('a')
    expect(await find()).toMatchObject({ code: 'peer-unreachable' })
    expect(routes.isAway(name)).toBe(false)
  },
)

test('a task that is there and does not take our key is answered for at once, renewed or not', async () => {
  const { routes, state, find } = await setup({ rows: [online('a')] })
  state.down.set('a', 'foreign')
  expect(await find()).toMatchObject({ code: 'peer-unreachable' })
  expect(routes.isAway(name)).toBe(false)
})

test('a task that was killed is waited for on behalf of its agents for a minute after its lease is over', async () => {
  const { routes, state, find, list } = await setup({ rows: [online('a')], alone: true })
  for (let watched = 0; watched < LEASE_MS; watched += TASKS_POLL_MS) {
    expect(await find()).toBeUndefined()
    expect(routes.isAway(name)).toBe(true)
    state.ms += TASKS_POLL_MS
    await list.round()
  }
  expect(list.find('a', 'b-a')).toBeUndefined()
  state.ms += AWAY_MS - 1
  expect(routes.isAway(name)).toBe(true)
  state.ms += 1
  expect([routes.isAway(name), routes.isOwned(name)]).toEqual([false, true])
})

test('a scan of random names is cut short; a name that is known is not concerned', async () => {
  const { table, state, find } = await setup({ rows: [online('a')] })
  await find()
  const looks = Array.from({ length: 2 * LOOKUPS_AT_ONCE }, (_, n) => table.look(`random-${n}` as Subdomain))
  const faults = (await Promise.all(looks)).filter((fault) => fault?.code === 'lookups-exhausted')
  expect(faults).toHaveLength(LOOKUPS_AT_ONCE + 1)
  state.ms += 1
  table.doubt(name)
  expect(await find()).toBeInstanceOf(PeerRoute)
})

test('an owner that does not have it costs one strongly consistent read', async () => {
  const { routes, state, find, epochOf } = await setup({ rows: [online('a')] })
  const route = (await find()) as PeerRoute
  state.rows = [online('b', { epoch: 6 })]
  route.lease('fresh', asker)
  route.refused(1)
  expect(routes.find(name)).toBeInstanceOf(Sought)
  expect(epochOf(await find())).toBe(6)
  expect(state.reads).toEqual([false, true])
  expect(state.failed).toBe(1)
})

test('should the table go on saying the same, requests wait a moment instead of asking again and again', async () => {
  const { routes, state, find } = await setup({ rows: [online('a')] })
  const route = (await find()) as PeerRoute
  route.refused(1)
  expect(await find()).toBeUndefined()
  expect(routes.holdMs(name)).toBe(HOLD_MS)
  state.ms += HOP_REFUSED_MS
  expect(await find()).toBeInstanceOf(PeerRoute)
})

test('a task that says of itself that it serves a name no more is believed', async () => {
  const { routes, state, find, epochOf } = await setup({ rows: [online('a')] })
  await find()
  state.rows = [online('b', { epoch: 6 })]
  routes.withdrawn(name, 5)
  expect(epochOf(await find())).toBe(6)
})

test('a task that cannot be reached is answered for at once; one whose process is gone is waited for', async () => {
  const { routes, state, find, renew } = await setup({ rows: [online('a')] })
  await renew('a')
  await find()
  state.down.set('a', 'silent')
  state.hops.clear()
  state.ms += ROUTE_ABSENT_MS
  expect(routes.find(name)).toMatchObject({ code: 'peer-unreachable' })
  expect(state.reads).toHaveLength(2)
  state.down.set('a', 'gone')
  expect(await find()).toBeUndefined()
  expect(routes.isAway(name)).toBe(true)
})

test('of several channels those that can be reached serve, the least busy first', async () => {
  const { routes, state, find, epochOf } = await setup({
    rows: [online('a', { epoch: 5 }), online('b', { slot: 1, epoch: 9 })],
  })
  await find()
  await new Promise((resolve) => setImmediate(resolve))
  const chosen = Array.from({ length: 4 }, () => {
    const route = routes.find(name) as PeerRoute
    route.lease('fresh', asker)
    return route.epoch
  })
  expect(chosen.toSorted()).toEqual([5, 5, 9, 9])
  state.hops.delete('a')
  state.down.set('a', 'silent')
  expect([epochOf(routes.find(name)), epochOf(routes.find(name))]).toEqual([9, 9])
})

test('a name whose agent has left is away for as long as its row says, and held for as long', async () => {
  const { routes, state, find } = await setup()
  state.rows = [offline({ awayUntil: state.ms + AWAY_MS, holdMs: 700, heldUntil: state.ms + 500 })]
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.holdMs(name), routes.tenantOf(name)]).toEqual([true, 500, 'ann'])
  state.ms += 600
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, 0])
})

test('a name whose right is gone is nobody’s', async () => {
  const { routes, find } = await setup({ rows: [offline({})] })
  await find()
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([false, 0])
})

test('a name of a task that is gone is away for a minute, as after a restart of the only task there is', async () => {
  const { routes, state, find } = await setup({ rows: [online('self', { bootId: 'former' })] })
  expect(await find()).toBeUndefined()
  expect(routes.holdMs(name)).toBe(HOLD_MS)
  state.ms += AWAY_MS
  expect(routes.isAway(name)).toBe(false)
})

test('a name that the table has just given to a channel of this task, which has not heard of it yet, is waited for', async () => {
  const { routes, state, find } = await setup({ rows: [online('self')] })
  state.claiming = true
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, HOLD_MS])
  // It is over, and what became of it is known here.
  state.claiming = false
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([false, 0])
})

test('a task that nobody has heard of yet is looked for before it is taken for gone', async () => {
  const { state, find, epochOf } = await setup({ rows: [online('new')] })
  state.ms += AWAY_MS
  state.tasks = [...state.tasks, task('new')]
  expect(epochOf(await find())).toBe(5)
})

test('a name that was claimed by a node which started after the nodes were read is waited for', async () => {
  const { routes, state, timers, find, epochOf, list } = await setup()
  state.ms += AWAY_MS
  // They are read again only in a while.
  await list.round()
  state.rows = [online('new', { claimedAt: state.ms })]
  state.tasks = [...state.tasks, task('new')]
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([true, HOLD_MS])
  const back: Route[] = []
  routes.whenBack(name, (route) => back.push(route))
  state.ms += STRANGER_LOOK_MS
  // The first look finds the node, the second one has reached it.
  for (let looks = 0; looks < 2; looks += 1) {
    await expect.poll(() => timers.length).toBe(1)
    timers.shift()!.run()
  }
  await expect.poll(() => back.length).toBe(1)
  expect(epochOf(back[0])).toBe(5)
})

test('a node that was never read, and has the name since long ago, is not waited for', async () => {
  const { routes, state, find } = await setup({ rows: [online('dead', { claimedAt: 1_000_000 })] })
  state.ms += AWAY_MS
  expect(await find()).toBeUndefined()
  expect([routes.isAway(name), routes.holdMs(name)]).toEqual([false, 0])
})

test('an outage of the table leaves what is known serving, for ten minutes', async () => {
  const { state, find } = await setup({ rows: [online('a')] })
  const route = await find()
  state.broken = true
  state.ms += ROUTE_FRESH_MS
  expect(await find()).toBe(route)
  state.ms += TABLE_OUTAGE_MS
  expect(await find()).toMatchObject({ code: 'store-unavailable' })
})

test('for requests that wait, the table is read after 100, 200 and 400 ms, then each second, until the name is there', async () => {
  const { routes, state, timers } = await setup()
  state.owned = true
  const back: Route[] = []
  routes.whenBack(name, (route) => back.push(route))
  const waited: number[] = []
  for (let looks = 0; looks < 5; looks += 1) {
    if (looks === 4) state.rows = [online('a')]
    const timer = timers.shift()!
    waited.push(timer.ms)
    timer.run()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(waited).toEqual([...HOLD_LOOKS_MS, HOLD_LOOKS_MS.at(-1)])
  expect(state.reads).toEqual([true, true, true, true, true])
  expect(back).toHaveLength(1)
  expect(timers).toEqual([])
})

test('nobody looks any longer for requests that have gone', async () => {
  const { routes, timers } = await setup()
  const leave = routes.whenBack(name, () => expect.unreachable('it was left'))
  leave()
  leave()
  expect(timers).toEqual([])
})
