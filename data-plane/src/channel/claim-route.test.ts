import { TunnelFault } from '@postern/protocol/fault'
import { TUNNEL_ROW_AGAIN_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { recordedTunnel } from '../testing/recorded-tunnel.ts'
import { claimRoute } from './claim-route.ts'

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
