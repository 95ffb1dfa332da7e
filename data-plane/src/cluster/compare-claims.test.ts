import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import type { Route } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { compareClaims } from './compare-claims.ts'

const row = (connId: string, instanceId: string): Route => ({
  ...{ name: 'demo', slot: 0, epoch: 1, username: 'ann', reservationId: 'r', routeState: 'online', claimedAt: 0 },
  ...{ taskId: 't', bootId: 'b', connId, instanceId, pool: false, tokenHash: 'h' },
})

/** What becomes of a channel of connId `ours`. @param becomes what the table's answer makes of one whose name is claimed */
async function outcome(
  rows: Route[] | TunnelFault,
  serving = true,
  becomes?: 'serving' | 'refused',
): Promise<string[]> {
  const seen: string[] = []
  const tunnel = {
    subdomain: 'demo' as Subdomain,
    connId: 'ours',
    claiming: becomes !== undefined,
    serving,
    async claimed() {
      await Promise.resolve()
      if (becomes !== undefined) Object.assign(tunnel, { claiming: false, serving: becomes === 'serving' })
    },
    replacedBy: ({ instanceId }: { instanceId: string | undefined }) => void seen.push(`replaced by ${instanceId}`),
    disconnect: ({ code }: TunnelFault) => void seen.push(code),
  }
  const list = async (): Promise<Route[]> => {
    if (rows instanceof TunnelFault) throw rows
    return rows
  }
  await compareClaims([tunnel], { list })
  return seen
}

test('a channel that still has its name stays', async () => {
  expect(await outcome([row('other', 'two'), row('ours', 'one')])).toEqual([])
})

test('a channel whose name another has by now is told by whom it was replaced', async () => {
  expect(await outcome([row('theirs', 'two')])).toEqual(['replaced by two'])
})

test('a channel whose name nobody has ends, and its agent may claim it again', async () => {
  const offline: Route = {
    ...{ name: 'demo', slot: 0, epoch: 1, username: 'ann', reservationId: 'r' },
    ...{ routeState: 'offline', offlineSince: 1 },
  }
  expect(await outcome([offline])).toEqual(['channel-lost'])
})

test('a channel whose claim is under way is compared once the table has answered it', async () => {
  expect(await outcome([row('theirs', 'two')], false, 'serving')).toEqual(['replaced by two'])
  expect(await outcome([row('ours', 'one')], false, 'serving')).toEqual([])
  expect(await outcome([row('theirs', 'two')], false, 'refused')).toEqual([])
})

test('a table that cannot be read ends nobody, and one that is no tunnel yet is not asked for', async () => {
  expect(await outcome(new TunnelFault('store-unavailable'))).toEqual([])
  expect(await outcome([], false)).toEqual([])
})
