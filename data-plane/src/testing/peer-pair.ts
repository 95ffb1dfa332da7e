/** Two nodes in one process: `holder` has every claim, and the other one opens channels to it. Their sockets are real. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Subdomain } from '@postern/protocol/address'
import type { TunnelFault } from '@postern/protocol/fault'
import { WindowBudget } from '@postern/protocol/mux'
import type { Task } from '@postern/protocol/store'
import { NodeKey, newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { expect } from 'vitest'
import { PeerListener } from '../cluster/peer-listener.ts'
import { Peers } from '../cluster/peers.ts'
import { type Hop, PeerRoute } from '../route/peer-route.ts'
import type { Lease } from '../route/route.ts'
import { StreamQueue } from '../route/stream-queue.ts'
import type { TunnelRoute } from '../route/tunnel-route.ts'
import { ScriptedRoute } from './scripted-route.ts'

/** The tenant of each name is the name. */
export class PeerPair {
  readonly clock = { ms: 1_000_000 }
  readonly local = new ScriptedRoute()
  readonly holder: PeerListener
  readonly holderKey = new NodeKey()
  readonly peers: Peers
  /** What the calling node reports of its channels, in order. */
  readonly reports: string[] = []
  /** Nodes to which it has opened a channel. */
  readonly opened: string[] = []
  readonly ending: PeerRoute[] = []
  task!: Task
  #ended: (route: PeerRoute) => void = () => {}

  private constructor() {
    const budget = new WindowBudget(1024 * 1024)
    const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
    const now = (): number => this.clock.ms
    const route: TunnelRoute = Object.assign(this.local, {
      queue: new StreamQueue(),
      idleStreams: 0,
      sweep: () => {},
      retire: () => {},
      whenRetired: () => () => {},
    })
    this.holder = new PeerListener({
      ...{ keys, nodeKey: this.holderKey, budget, now },
      house: {
        routes: { ofClaim: (name) => ({ route, tenant: name }) },
        fence: { closed: () => false, whenLifted: () => () => {} },
        judge: () => expect.unreachable('it has no rules'),
      },
      events: {
        opened: () => {},
        refused: (fault) => this.reports.push(`refused ${fault.code}`),
        over: () => {},
        streamCrashed: ({ cause }) => expect.unreachable(String(cause)),
      },
    })
    this.peers = new Peers({
      streamCrashed: ({ cause }) => expect.unreachable(String(cause)),
      ...{ self: { taskId: 'asking', bootId: 'b' }, keys, budget, now },
      ownAddr: () => 'asking:7100',
      random: () => 0.5,
      withdrawn: () => {},
      failed: (_peer, how) => this.reports.push(how),
      opened: ({ taskId }) => void this.opened.push(taskId),
      replaced: () => this.reports.push('replaced'),
      notReplaced: (_peer, fault: TunnelFault) => this.reports.push(`not replaced ${fault.code}`),
    })
  }

  /** With a channel from one to the other. */
  static async start(): Promise<PeerPair> {
    const pair = new PeerPair()
    const { server } = pair.holder
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const addr = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const facts = { version: '0', draining: false, tunnels: 0, leaseUntil: 0 }
    pair.task = { taskId: 'holder', bootId: pair.holderKey.bootId, addr, ...facts }
    await pair.peers.reach(pair.task)
    return pair
  }

  async stop(): Promise<void> {
    await Promise.all([this.peers.stop(), this.holder.stop()])
  }

  hop(tenant: string): Hop {
    return this.peers.channel(this.task, tenant)!
  }

  /** By the channel that new requests take now. */
  routeTo(name: string, epoch: number): PeerRoute {
    return new PeerRoute({
      ...{ hop: this.hop(name), name: name as Subdomain, epoch },
      now: () => this.clock.ms,
      refused: () => {},
      counts: { hop: () => {} },
      ending: (route) => {
        this.ending.push(route)
        this.#ended(route)
      },
    })
  }

  /** The next route whose exchanges are to be ended. */
  nextEnding(): Promise<PeerRoute> {
    return new Promise((resolve) => {
      this.#ended = resolve
    })
  }

  /** An exchange begins on the route, and receives the first bytes of the local server. */
  async begin(route: PeerRoute): Promise<Lease> {
    const leased = this.local.leased(this.local.leases.length)
    const lease = route.lease('fresh', { visitorAddress: '192.0.2.1', requestId: 'r' })
    const received = new Promise<void>((resolve) => {
      lease.stream.listen({ data: () => resolve(), end: () => {}, reset: () => {}, writable: () => {} })
    })
    lease.stream.write(Buffer.from('request'))
    const { stream } = await leased
    await stream.until((each) => each.received === 'request')
    stream.answer('response')
    await received
    return lease
  }
}
