import type { Hello } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { CLAIM_AGAIN_MS, TUNNEL_ROW_AGAIN_MS } from '@postern/protocol/limits'
import type { ClaimCall, OnlineRoute, Route } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { recordedTunnel } from '../testing/recorded-tunnel.ts'
import { claimRoute, type Loss } from './claim-route.ts'

const { ticket } = recordedTunnel({ username: 'ann', subdomain: 'demo' })
const hello = { type: 'hello', version: '1', instanceId: 'i', slot: 2, pool: false, rules: {} } as const
const place = { name: 'demo', slot: 2, connId: 'conn' }

/** A table that notes what is asked of it; what is in `broken` fails, what is in `slow` waits until it is let go. */
function setup() {
  const asked: string[] = []
  const told: string[] = []
  const broken = new Set<string>()
  const slow = new Map<string, Promise<void>>()
  const state = { elapsed: 0 }
  const call = async (what: string): Promise<void> => {
    await slow.get(what)
    asked.push(what)
    if (broken.has(what)) throw new TunnelFault('store-unavailable', what)
  }
  const rows: unknown[] = []
  const deps = {
    routes: {
      claim: async () => {
        await call('claim')
        return { epoch: 5, replaced: undefined }
      },
      release: async () => {
        await call('release')
        return true
      },
      list: async () => [],
    },
    tunnels: {
      put: async (row: unknown) => {
        rows.push(row)
        await call('put')
      },
      remove: async (row: unknown) => {
        expect(row).toEqual(place)
        await call('remove')
      },
    },
    taskId: 'task',
    bootId: 'boot',
    readLiveTasks: async () => () => true,
    tell: async () => {},
    untold: () => {},
    random: () => 0,
    sleep: async () => {},
    clock: () => 1000 + state.elapsed,
    now: () => state.elapsed,
    unlisted: (_row: unknown, fault: TunnelFault) => told.push(`${fault.code} ${fault.detail}`),
  }
  return { deps, asked, told, broken, slow, rows, state, open: () => claimRoute(ticket, hello, 'conn', deps) }
}

/** A promise that resolves when told to. */
function gate(): { promise: Promise<void>; open: () => void } {
  let open = () => {}
  const promise = new Promise<void>((resolve) => (open = resolve))
  return { promise, open }
}

test('a tunnel is listed beside its claim, without being waited for, and removed beside its release', async () => {
  const { open, slow, asked, rows } = setup()
  const put = gate()
  slow.set('put', put.promise)
  const claim = await open()
  expect(claim.epoch).toBe(5)
  expect(rows).toEqual([{ ...place, username: 'ann', epoch: 5, taskId: 'task', bootId: 'boot', claimedAt: 1000 }])
  const released = claim.release('lost', 10_000)
  await new Promise((resolve) => setImmediate(resolve))
  // The route goes at once; the row only after the put that is still under way, or it would come back.
  expect(asked).toEqual(['claim', 'release'])
  put.open()
  await released
  expect(asked).toEqual(['claim', 'release', 'put', 'remove'])
  await claim.release('lost', 10_000)
  await claim.relist()
  expect(asked).toHaveLength(4)
})

test('a list that cannot be written fails neither the claim nor the release, and is told', async () => {
  const { open, broken, told } = setup()
  broken.add('put').add('remove')
  const claim = await open()
  await claim.release('lost', 10_000)
  expect(told).toEqual(['store-unavailable put', 'store-unavailable remove'])
})

test('a release that fails still removes the row, and is the one that is reported', async () => {
  const { open, broken, asked } = setup()
  broken.add('release')
  const claim = await open()
  await expect(claim.release('lost', 10_000)).rejects.toMatchObject({ detail: 'release' })
  expect(asked).toContain('remove')
})

test('the row is put again if it may be missing, or after a long time', async () => {
  const { open, broken, asked, state } = setup()
  broken.add('put')
  const claim = await open()
  await claim.relist()
  broken.clear()
  await claim.relist()
  await claim.relist()
  expect(asked).toEqual(['claim', 'put', 'put', 'put'])
  state.elapsed += TUNNEL_ROW_AGAIN_MS
  await claim.relist()
  expect(asked).toHaveLength(5)
})

/** A table with routes, of which others may take some between a look and the claim that follows it. */
function contested(rows: Route[], rival: (look: number) => void = () => {}) {
  const { deps } = setup()
  const told: [connId: string, why: string][] = []
  const done: string[] = []
  let looks = 0
  const all = {
    ...deps,
    tell: async ({ lost, why }: Loss) => void told.push([lost.connId, why]),
    untold: ({ lost }: Loss, fault: TunnelFault) => void done.push(`untold ${lost.connId} ${fault.code}`),
    readLiveTasks: async () => (route: OnlineRoute) => route.taskId !== 'gone',
    sleep: async (ms: number) => void done.push(`slept ${ms}`),
    random: () => 0.5,
    routes: {
      async list() {
        const seen = [...rows]
        looks += 1
        rival(looks)
        return seen
      },
      async claim(call: ClaimCall) {
        const now = rows.find((route) => route.slot === call.slot)
        if (now?.epoch !== call.epochRead?.epoch) throw new TunnelFault('superseded')
        const { now: claimedAt, epochRead: _, ousted, ...owner } = call
        const epoch = (now?.epoch ?? claimedAt) + 1
        const route: Route = {
          ...owner,
          epoch,
          claimedAt,
          routeState: 'online',
          ...(ousted && { ousted: new Set(ousted) }),
        }
        rows.splice(0, rows.length, ...rows.filter(({ slot }) => slot !== call.slot), route)
        return { epoch, replaced: now }
      },
      async release({ slot, connId }: { slot: number; connId: string }) {
        done.push(`released ${slot} of ${connId}`)
        return true
      },
    },
  }
  const claim = (changes: Partial<Hello> = {}) => claimRoute(ticket, { ...hello, slot: 0, ...changes }, 'conn', all)
  return { claim, told, done, rows, all }
}

const held = (slot: number, changes: Partial<OnlineRoute> = {}): OnlineRoute => ({
  ...{ name: 'demo', slot, epoch: 10, username: 'ann', reservationId: 'r', routeState: 'online', claimedAt: 1 },
  ...{ taskId: 'far', bootId: 'b', connId: `theirs-${slot}`, instanceId: 'they', pool: false, tokenHash: 't' },
  ...changes,
})

test('whoever loses the name is told once the newer one is let in: slots that were not claimed go offline', async () => {
  const { claim, told, done } = contested([held(0), held(1)])
  const claimed = await claim({ label: 'desk' })
  expect([claimed.epoch, claimed.slot, told, done]).toEqual([11, 0, [], []])
  await claimed.settle()
  expect(told).toEqual([
    ['theirs-0', 'superseded'],
    ['theirs-1', 'superseded'],
  ])
  expect(done).toEqual(['released 1 of theirs-1'])
})

test('one that cannot be told is only noted', async () => {
  const { claim, done, all } = contested([held(0)])
  all.tell = async () => {
    throw new TunnelFault('store-unavailable')
  }
  await (await claim()).settle()
  expect(done).toEqual(['untold theirs-0 store-unavailable'])
})

test('a slot that was taken meanwhile is looked for anew, after a pause that grows', async () => {
  const rows: Route[] = []
  const { claim, done } = contested(rows, (look) => {
    if (look <= 2) rows.push(held(look - 1, { pool: true, instanceId: `rival ${look}` }))
  })
  const claimed = await claim({ pool: true })
  expect(claimed.slot).toBe(2)
  expect(done).toEqual([`slept ${CLAIM_AGAIN_MS / 2}`, `slept ${CLAIM_AGAIN_MS}`])
})

test('of a pool, the slot of a task that is gone is taken, and its channel told that it may have another', async () => {
  const { claim, told } = contested([held(0, { pool: true, taskId: 'gone' }), held(1, { pool: true })])
  const claimed = await claim({ pool: true })
  await claimed.settle()
  expect([claimed.slot, told]).toEqual([0, [['theirs-0', 'displaced']]])
})

test('a claim whose answer was lost is found to have won', async () => {
  const { claim, all, rows } = contested([])
  const { claim: reallyClaim } = all.routes
  all.routes.claim = async (call) => {
    // It was written; the second attempt of the SDK was refused by the first.
    await reallyClaim(call)
    throw new TunnelFault('superseded')
  }
  const claimed = await claim()
  expect(claimed.epoch).toBe(rows[0]!.epoch)
})

test('a name whose later owner was there before is taken, not busy', async () => {
  const { claim, all } = contested([held(0, { reservationId: 'z' })])
  all.routes.claim = async () => {
    throw new TunnelFault('superseded')
  }
  await expect(claim()).rejects.toMatchObject({ code: 'subdomain-taken' })
})
