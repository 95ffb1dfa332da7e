/** The side of a task that faces the other tasks: where names are that it has not, the hop to them, and the hops that come. Knows nothing of visitors' connections. */
import type { HopPeer } from '@postern/protocol/channel'
import type { TunnelFault } from '@postern/protocol/fault'
import type { WindowBudget } from '@postern/protocol/mux'
import type { NodeKey } from '@postern/protocol/ticket'
import type { Yielding } from '../channel/memory-guard.ts'
import type { HopHouse } from '../cluster/incoming-hop.ts'
import { PeerListener } from '../cluster/peer-listener.ts'
import { Peers } from '../cluster/peers.ts'
import { RemoteRoutes } from '../cluster/remote-routes.ts'
import type { RevocationWatch } from '../cluster/revocation-watch.ts'
import { RouteProofs } from '../cluster/route-proofs.ts'
import { RouteTable } from '../cluster/route-table.ts'
import type { TaskView } from '../cluster/task-view.ts'
import type { TaskCounts } from '../ops/task-counts.ts'
import type { DataPlaneDeps } from '../plane-deps.ts'
import type { QueuePlaces } from '../route/queue-places.ts'
import type { Route } from '../route/route.ts'

export interface PeerSideDeps extends Pick<DataPlaneDeps, 'stores' | 'hopKeys' | 'log' | 'clock' | 'now'> {
  readonly self: HopPeer
  readonly nodeKey: NodeKey
  readonly watch: Pick<RevocationWatch, 'isRevoked'>
  /** Where other tasks reach this one; empty where nothing listens for them. */
  ownAddr(): string
  readonly budget: WindowBudget
  readonly view: TaskView
  readonly counts: TaskCounts
  /** Whether a channel of this task is about to have the name. */
  claiming(name: string): boolean
  /** Ends the visitors whose requests are on that route. */
  endOn(route: Route): void
  /** Where requests wait for streams. */
  readonly places: QueuePlaces
  /** Runs once after so many milliseconds. Returns the removal. */
  after(ms: number, run: () => void): () => void
}

export class PeerSide {
  /** The routes to tunnels of other tasks. */
  readonly remote: RemoteRoutes
  readonly #deps: PeerSideDeps
  readonly #peers: Peers | undefined
  #listener: PeerListener | undefined

  constructor(deps: PeerSideDeps) {
    const { self, ownAddr, hopKeys, budget, view, watch, stores, log, claiming } = deps
    const { clock, now, after, endOn, places, counts } = deps
    this.#deps = deps
    this.#peers =
      hopKeys &&
      new Peers({
        self,
        ownAddr,
        keys: hopKeys,
        budget,
        now,
        random: Math.random,
        streamCrashed: this.#streamCrashed,
        withdrawn: ({ name, epoch }) => this.remote.withdrawn(name, epoch),
        failed: ({ taskId }, how, fault) => {
          counts.hopFailed()
          log.warn(
            { peer: taskId, how, fault: fault?.code, detail: fault?.detail },
            'the channel to another task is lost',
          )
        },
        opened: ({ taskId, bootId }) => view.meet(taskId, bootId),
        replaced: ({ taskId }) => {
          // At once, so that idle streams of the former channel do not take up the places of new ones.
          this.remote.sweep()
          log.info({ peer: taskId }, 'the channel to another task was replaced')
        },
        notReplaced: ({ taskId }, fault) =>
          log.warn(
            { peer: taskId, fault: fault.code, detail: fault.detail },
            'the channel to another task could not be replaced; it serves on',
          ),
      })
    const proofs = new RouteProofs({
      keys: stores.grantKeys,
      isRevoked: (ticket) => watch.isRevoked(ticket),
      refused: ({ name, taskId, bootId }, why) =>
        log.warn({ name, peer: taskId, bootId, why }, 'a route is not believed: its node was not granted the name'),
      clock,
      now,
    })
    const table = new RouteTable({
      routes: stores.routes,
      owners: stores.reservations,
      proofs,
      isLive: (row) => row.routeState === 'online' && view.find(row.taskId, row.bootId) !== undefined,
      clock,
      now,
      counts,
    })
    this.remote = new RemoteRoutes({
      ...{ self, table, tasks: view, peers: this.#peers },
      ...{ claiming, clock, now, after, endOn, places, counts },
    })
  }

  /** What each tenant holds on the channels of both directions. */
  get shares(): Iterable<Yielding> {
    const calling = [...(this.#peers?.channels ?? [])].flatMap((channel) => [...channel.shares])
    return [...(this.#listener?.shares ?? []), ...calling]
  }

  /** The listener for other tasks, which `stop` closes; undefined where there is no key of the hop. Called once. */
  listener(house: Omit<HopHouse, 'draining' | 'now'>): PeerListener | undefined {
    const { hopKeys, nodeKey, budget, view, log, now } = this.#deps
    if (hopKeys === undefined) return undefined
    this.#listener = new PeerListener({
      keys: hopKeys,
      nodeKey,
      budget,
      now,
      house,
      events: {
        opened: ({ taskId, bootId }) => {
          view.meet(taskId, bootId)
          log.debug({ peer: taskId }, 'another task has opened a channel')
        },
        refused: (fault, address) =>
          log.warn({ fault: fault.code, from: address }, 'a channel of another task was refused'),
        streamCrashed: this.#streamCrashed,
        over: ({ taskId }, fault) =>
          log.debug({ peer: taskId, fault: fault?.code }, 'the channel of another task is over'),
      },
    })
    return this.#listener
  }

  readonly #streamCrashed = (fault: TunnelFault): void =>
    this.#deps.log.error({ err: fault.cause }, 'a stream ended by an exception')

  /** Lets idle streams go whose time is over. Called about once a second. */
  sweep(): void {
    this.remote.sweep()
    this.#peers?.sweep()
  }

  /** By these channels nothing comes any more. */
  async stop(): Promise<void> {
    await Promise.all([this.#listener?.stop(), this.#peers?.stop()])
  }
}
