/** The side of a task that faces the other tasks: where names are that it has not, the hop to them, and the hops that come. Knows nothing of visitors' connections. */
import type { HopPeer } from '@postern/protocol/channel'
import type { WindowBudget } from '@postern/protocol/mux'
import type { Yielding } from '../channel/memory-guard.ts'
import type { HopHouse } from '../cluster/incoming-hop.ts'
import { PeerListener } from '../cluster/peer-listener.ts'
import { Peers } from '../cluster/peers.ts'
import { RemoteRoutes } from '../cluster/remote-routes.ts'
import { RouteTable } from '../cluster/route-table.ts'
import type { TaskView } from '../cluster/task-view.ts'
import type { TaskCounts } from '../ops/task-counts.ts'
import type { DataPlaneDeps } from '../plane-deps.ts'
import type { QueuePlaces } from '../route/queue-places.ts'
import type { Route } from '../route/route.ts'

export interface PeerSideDeps extends Pick<DataPlaneDeps, 'stores' | 'hopKeys' | 'log' | 'clock' | 'now'> {
  readonly self: HopPeer
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
    const { self, hopKeys, budget, view, stores, log, claiming, clock, now, after, endOn, places, counts } = deps
    this.#deps = deps
    this.#peers =
      hopKeys &&
      new Peers({
        self,
        keys: hopKeys,
        budget,
        now,
        withdrawn: ({ name, epoch }) => this.remote.withdrawn(name, epoch),
        failed: ({ taskId }, how, fault) => {
          counts.hopFailed()
          log.warn(
            { peer: taskId, how, fault: fault?.code, detail: fault?.detail },
            'the channel to another task is lost',
          )
        },
      })
    const table = new RouteTable({
      routes: stores.routes,
      isLive: (row) => row.routeState === 'online' && view.find(row.taskId, row.bootId) !== undefined,
      now,
      counts,
    })
    this.remote = new RemoteRoutes({
      ...{ self, table, tasks: view, peers: this.#peers },
      ...{ claiming, clock, now, after, endOn, places, counts },
    })
  }

  /** Channels of both directions. */
  get channels(): Iterable<Yielding> {
    return [...(this.#listener?.channels ?? []), ...(this.#peers?.channels ?? [])]
  }

  /** The listener for other tasks, which `stop` closes; undefined where there is no key of the hop. Called once. */
  listener(house: Omit<HopHouse, 'draining' | 'now'>): PeerListener | undefined {
    const { hopKeys, budget, log, now } = this.#deps
    if (hopKeys === undefined) return undefined
    this.#listener = new PeerListener({
      keys: hopKeys,
      budget,
      now,
      house,
      events: {
        opened: ({ taskId }) => log.debug({ peer: taskId }, 'another task has opened a channel'),
        refused: (fault, address) =>
          log.warn({ fault: fault.code, from: address }, 'a channel of another task was refused'),
        over: ({ taskId }, fault) =>
          log.debug({ peer: taskId, fault: fault?.code }, 'the channel of another task is over'),
      },
    })
    return this.#listener
  }

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
