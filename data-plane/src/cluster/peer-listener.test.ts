import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Subdomain } from '@postern/protocol/address'
import { WindowBudget } from '@postern/protocol/mux'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { afterEach, expect, test } from 'vitest'
import { PeerRoute } from '../route/peer-route.ts'
import type { Lease } from '../route/route.ts'
import { StreamQueue } from '../route/stream-queue.ts'
import type { TunnelRoute } from '../route/tunnel-route.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { PeerListener } from './peer-listener.ts'
import { Peers } from './peers.ts'

const now = (): number => performance.now()
const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Two tasks with a channel between them: `holder` has every claim, and the other one a route to each. */
async function setup() {
  const budget = new WindowBudget(1024 * 1024)
  const local = new ScriptedRoute()
  const route: TunnelRoute = Object.assign(local, {
    queue: new StreamQueue(),
    idleStreams: 0,
    sweep: () => {},
    retire: () => {},
    whenRetired: () => () => {},
  })
  const holder = new PeerListener({
    keys,
    budget,
    now,
    house: {
      routes: { ofClaim: () => route },
      fence: { closed: () => false, whenLifted: () => () => {} },
      judge: () => expect.unreachable('it has no rules'),
    },
    events: { opened: () => {}, refused: (fault) => expect.unreachable(fault.message), over: () => {} },
  })
  holder.server.listen(0, '127.0.0.1')
  await once(holder.server, 'listening')
  cleanups.push(() => holder.stop())
  const peers = new Peers({
    self: { taskId: 'asking', bootId: 'b' },
    keys,
    budget,
    now,
    withdrawn: () => {},
    failed: (_peer, how) => expect.unreachable(how),
  })
  cleanups.push(() => peers.stop())
  const { port } = holder.server.address() as AddressInfo
  const task = { taskId: 'holder', bootId: 'b', addr: `127.0.0.1:${port}`, version: '0', draining: false }
  await peers.reach({ ...task, tunnels: 0, leaseUntil: 0 })
  const hop = peers.channel(task)!
  let told = (_route: PeerRoute): void => {}
  const ending: PeerRoute[] = []
  const routeTo = (name: string, epoch: number): PeerRoute =>
    new PeerRoute({
      ...{ hop, name: name as Subdomain, epoch, now, refused: () => {}, counts: { hop: () => {} } },
      ending: (which) => {
        ending.push(which)
        told(which)
      },
    })
  const whenTold = (): Promise<PeerRoute> =>
    new Promise((resolve) => {
      told = resolve
    })
  return { holder, local, routeTo, whenTold, ending }
}

/** An exchange begins on it, and has what the local server says. */
async function begin(route: PeerRoute, local: ScriptedRoute): Promise<Lease> {
  const leased = local.leased(local.leases.length)
  const lease = route.lease('fresh', { visitorAddress: '192.0.2.1', requestId: 'r' })
  const heard = new Promise<void>((resolve) => {
    lease.stream.listen({ data: () => resolve(), end: () => {}, reset: () => {}, writable: () => {} })
  })
  lease.stream.write(Buffer.from('request'))
  const { stream } = await leased
  await stream.until(({ received }) => received === 'request')
  stream.answer('response')
  await heard
  return lease
}

test('a claim whose channel is about to end is told to the task that has something under way on it, and no other claim is', async () => {
  const { holder, local, routeTo, whenTold, ending } = await setup()
  const [one, other] = [routeTo('demo', 7), routeTo('demo', 8)]
  const leases = [await begin(one, local), await begin(one, local), await begin(other, local)]
  const told = whenTold()
  holder.ending({ name: 'demo' as Subdomain, epoch: 7 })
  expect(await told).toBe(one)
  expect(ending).toEqual([one])
  for (const lease of leases) lease.stream.reset()
})

test('a task that stops tells it of all claims when their time is over, and waits for what is ended then', async () => {
  const { holder, local, routeTo, whenTold, ending } = await setup()
  const [one, other] = [routeTo('demo', 7), routeTo('other', 1)]
  const leases = [await begin(one, local), await begin(other, local)]
  const told = whenTold()
  let over = false
  const drained = holder.drain(50, 60_000).then(() => {
    over = true
  })
  expect(ending).toEqual([])
  await told
  expect(ending).toEqual([one, other])
  leases[0]!.stream.reset()
  await local.leases[0]!.stream.until(({ state }) => state === 'reset')
  expect(over).toBe(false)
  leases[1]!.stream.reset()
  await drained
  expect(over).toBe(true)
})
