/** The routes to tunnels that other tasks hold: where a name is, how its task is reached, whether it is worth waiting for. Knows nothing of requests. */
import type { Subdomain } from '@postern/protocol/address'
import type { HopPeer } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import {
  AWAY_MS,
  HOLD_LOOKS_MS,
  HOLD_MS,
  HOP_REFUSED_MS,
  PEER_SUSPECT_MS,
  ROUTE_ABSENT_MS,
  STRANGER_LOOK_MS,
} from '@postern/protocol/limits'
import type { OnlineRoute, Route as TableRoute, Task } from '@postern/protocol/store'
import { Sought } from '../dispatch/sought.ts'
import { type Hop, PeerRoute } from '../route/peer-route.ts'
import type { QueuePlaces } from '../route/queue-places.ts'
import type { Route } from '../route/route.ts'
import type { PeerState } from './peers.ts'
import type { RouteTable } from './route-table.ts'
import type { TaskView } from './task-view.ts'

export interface RemoteRoutesDeps {
  readonly self: HopPeer
  readonly table: Pick<RouteTable, 'get' | 'remembered' | 'isOwned' | 'triedWithin' | 'look' | 'lookAgain' | 'doubt'>
  readonly tasks: Pick<TaskView, 'find' | 'knows' | 'hasMet' | 'triedWithin' | 'look' | 'goneSince'>
  /** Undefined where this task has no key of the hop: it serves what it holds, and nothing else. */
  readonly peers:
    | {
        channel(peer: HopPeer, tenant: string): Hop | undefined
        state(peer: HopPeer): PeerState
        reach(task: Task): Promise<void>
      }
    | undefined
  /** Whether a channel of this task is about to have the name: the table may say so before its answer is here. */
  claiming(name: string): boolean
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
  /** Runs once after so many milliseconds. Returns the removal. */
  after(ms: number, run: () => void): () => void
  /** What is under way on that route is to be ended as at the end of a drain. */
  endOn(route: Route): void
  /** Where requests wait for streams. */
  readonly places?: QueuePlaces
  readonly counts: { hop(): void; hopFailed(): void }
}

/** What stands in the way of a name that is on line somewhere, the hopeful first. */
type Obstacle =
  /** The channel does not serve the name, or its process has ended or may have: another channel is about to take its place. */
  | 'moving'
  /** Its task is there, and cannot be reached. */
  | 'silent'

export class RemoteRoutes {
  readonly #deps: RemoteRoutesDeps
  readonly #byName = new Map<Subdomain, PeerRoute[]>()
  /** Claims that their own task does not know of, or does not serve: until when that is believed, by `name/epoch`. */
  readonly #refused = new Map<string, number>()

  constructor(deps: RemoteRoutesDeps) {
    this.#deps = deps
  }

  /**
   * Of several channels the one with the fewest exchanges of ours under way. Undefined: no task has the name just now. `addressKey`: of the visitor for whom
   * the table may be read.
   */
  find(name: Subdomain, addressKey?: string): Route | Sought | TunnelFault | undefined {
    const { table, tasks, peers } = this.#deps
    const known = table.get(name)
    if (known === undefined) return new Sought(table.look(name, addressKey))
    let best: PeerRoute | undefined
    let unreached: Task | undefined
    let obstacle: Obstacle | undefined
    let isStranger = false
    for (const row of known) {
      const task = this.#taskOf(row)
      if (task === undefined) {
        if (row.routeState === 'online' && !this.#isOurs(row) && !tasks.knows(row.taskId, row.bootId)) isStranger = true
        continue
      }
      const hop = this.#isRefused(row) ? undefined : peers?.channel(task, row.username)
      if (hop !== undefined) {
        const route = this.#routeOver(hop, name, row)
        if (best === undefined || route.outstanding < best.outstanding) best = route
      } else {
        const stands = this.#obstacle(row, task)
        if (stands === undefined) unreached = task
        else if (stands === 'moving' || obstacle === undefined) obstacle = stands
      }
    }
    if (unreached !== undefined) {
      const reaching = this.#reach(unreached)
      if (best === undefined) return new Sought(reaching)
    }
    if (best !== undefined) return best
    // A task that has just started.
    if (isStranger && !tasks.triedWithin(STRANGER_LOOK_MS)) return new Sought(tasks.look())
    // What leads nowhere is not believed for as long as what leads somewhere.
    if (!table.triedWithin(ROUTE_ABSENT_MS, name)) {
      const looking = table.look(name, addressKey)
      // Whoever waited for a task that is silent has waited long enough; what is read is for the next.
      if (obstacle !== 'silent') return new Sought(looking)
    }
    return obstacle === 'silent'
      ? new TunnelFault('peer-unreachable', undefined, { retryAfterMs: PEER_SUSPECT_MS })
      : undefined
  }

  /**
   * For a name that agents share and that has a channel here with `load` exchanges under way: the route to another task with fewer of ours.
   * What is not known, or not reached, is looked for meanwhile.
   */
  lessBusy(name: Subdomain, load: number, addressKey?: string): Route | undefined {
    const { table, peers } = this.#deps
    const known = table.get(name)
    if (known === undefined) void table.look(name, addressKey)
    let best: PeerRoute | undefined
    let least = load
    for (const row of known ?? []) {
      const task = this.#taskOf(row)
      if (task === undefined || row.routeState !== 'online' || !row.pool || this.#isRefused(row)) continue
      const hop = peers?.channel(task, row.username)
      if (hop === undefined) {
        if (peers?.state(task) === 'unknown') void this.#reach(task)
        continue
      }
      const route = this.#routeOver(hop, name, row)
      if (route.outstanding >= least) continue
      best = route
      least = route.outstanding
    }
    return best
  }

  /** Whether somebody has the name, be its agent there or not; known once `find` has answered. */
  isOwned(name: Subdomain): boolean {
    return this.#deps.table.isOwned(name)
  }

  /** Whether some task had the name until a moment ago, as far as the table and the leases tell. */
  isAway(name: Subdomain): boolean {
    return this.#rows(name).some((row) => this.#isAway(row))
  }

  /** For how long a request that comes now may wait for the name to have a channel again; milliseconds, 0: not at all. */
  holdMs(name: Subdomain): number {
    return Math.max(0, ...this.#rows(name).map((row) => (this.#isAway(row) ? this.#holdOf(row) : 0)))
  }

  /** Who answers for a name that is away. */
  tenantOf(name: Subdomain): string | undefined {
    return this.#rows(name).find((row) => this.#isAway(row))?.username
  }

  /** Looks again and again, and tells once, when some task has the name and can be reached. Returns the removal. */
  whenBack(name: Subdomain, back: (route: Route) => void): () => void {
    let looks = 0
    let over = false
    let stop = (): void => {}
    const next = (): void => {
      const ms = HOLD_LOOKS_MS[Math.min(looks, HOLD_LOOKS_MS.length - 1)]!
      looks += 1
      stop = this.#deps.after(ms, () => void look())
    }
    const look = async (): Promise<void> => {
      await this.#deps.table.lookAgain(name)
      let found = over ? undefined : this.find(name)
      if (found instanceof Sought) {
        await found.settled
        found = over ? undefined : this.find(name)
      }
      if (over) return
      if (found === undefined || found instanceof Sought || found instanceof TunnelFault) return next()
      over = true
      back(found)
    }
    next()
    return () => {
      over = true
      stop()
    }
  }

  /** The task of that channel says that it serves the name no more. */
  withdrawn(name: Subdomain, epoch: number): void {
    // Before requests that wait on the route look for another.
    this.#refuse(name, epoch)
    for (const route of [...(this.#byName.get(name) ?? [])]) if (route.epoch === epoch) this.#drop(route)
    this.#deps.table.doubt(name)
  }

  /** Lets idle streams go whose time is over, and routes over channels that are. Called about once a second. */
  sweep(): void {
    for (const routes of this.#byName.values()) {
      for (const route of [...routes]) {
        route.sweep()
        const isKnown = this.#deps.table.remembered(route.name)?.some(({ epoch }) => epoch === route.epoch) === true
        if (!route.hop.open || (!isKnown && route.outstanding === 0)) this.#drop(route)
      }
    }
    const now = this.#deps.now()
    for (const [key, until] of this.#refused) if (until <= now) this.#refused.delete(key)
  }

  #rows(name: Subdomain): readonly TableRoute[] {
    const { table } = this.#deps
    return table.get(name) ?? table.remembered(name) ?? []
  }

  async #reach(task: Task): Promise<undefined> {
    await this.#deps.peers?.reach(task)
    return undefined
  }

  /** The task that is said to have the channel, if it is there and another. */
  #taskOf(row: TableRoute): Task | undefined {
    if (row.routeState !== 'online' || this.#isOurs(row)) return undefined
    return this.#deps.tasks.find(row.taskId, row.bootId)
  }

  #isOurs(row: OnlineRoute): boolean {
    const { taskId, bootId } = this.#deps.self
    return row.taskId === taskId && row.bootId === bootId
  }

  #routeOver(hop: Hop, name: Subdomain, { epoch, username }: TableRoute): PeerRoute {
    const routes = this.#byName.get(name)
    if (routes !== undefined) {
      for (const route of routes) if (route.epoch === epoch && route.hop === hop) return route
    }
    const { now, counts, places } = this.#deps
    const route = new PeerRoute({
      hop,
      name,
      tenant: username,
      epoch,
      now,
      counts,
      ...(places && { places }),
      refused: (refused) => this.#hearNo(refused),
      ending: (ending) => this.#endOn(ending),
    })
    if (routes === undefined) this.#byName.set(name, [route])
    else routes.push(route)
    return route
  }

  /** One strongly consistent look more; should the table go on saying the same, requests wait until it does not. */
  #hearNo(route: PeerRoute): void {
    this.#deps.counts.hopFailed()
    this.withdrawn(route.name, route.epoch)
  }

  #endOn(route: PeerRoute): void {
    // The end of a replaced channel concerns only what is open on it: its node still serves the name.
    if (route.hop.open) this.withdrawn(route.name, route.epoch)
    this.#deps.endOn(route)
  }

  #refuse(name: Subdomain, epoch: number): void {
    this.#refused.set(`${name}/${epoch}`, this.#deps.now() + HOP_REFUSED_MS)
  }

  /** Why the channel that a row names cannot be used, though its task has a lease; undefined: its task is still to be reached. */
  #obstacle(row: TableRoute, task: Task): Obstacle | undefined {
    const { tasks, peers } = this.#deps
    if (this.#isRefused(row)) return 'moving'
    const state = peers === undefined ? 'silent' : peers.state(task)
    if (state === 'gone') return 'moving'
    if (state === 'foreign') return 'silent'
    // A node that was killed leaves its lease to the one that is started in its place.
    if (state === 'silent') return tasks.hasMet(task.taskId, task.bootId) ? 'silent' : 'moving'
    return undefined
  }

  #isRefused({ name, epoch }: TableRoute): boolean {
    if (this.#refused.size === 0) return false
    const until = this.#refused.get(`${name}/${epoch}`)
    return until !== undefined && until > this.#deps.now()
  }

  #drop(route: PeerRoute): void {
    const others = this.#byName.get(route.name)?.filter((each) => each !== route) ?? []
    if (others.length > 0) this.#byName.set(route.name, others)
    else this.#byName.delete(route.name)
    route.retire()
    route.sweep()
  }

  #isAway(row: TableRoute): boolean {
    const { claiming, clock, now, tasks } = this.#deps
    if (row.routeState === 'offline') return clock() < (row.awayUntil ?? 0)
    // What became of a channel of our own is known here better, once it is known at all.
    if (this.#isOurs(row)) return claiming(row.name)
    const task = tasks.find(row.taskId, row.bootId)
    if (task !== undefined) return this.#obstacle(row, task) === 'moving'
    const since = tasks.goneSince(row.taskId, row.bootId)
    if (since === undefined || now() - since < AWAY_MS) return true
    // A node that started after the nodes were last read, or one that has ended since.
    return !tasks.knows(row.taskId, row.bootId) && clock() - row.claimedAt < AWAY_MS
  }

  /** Of a row that is away. What its agent wants stands there once it is off line. */
  #holdOf(row: TableRoute): number {
    if (row.routeState === 'online') return HOLD_MS
    return Math.min(row.holdMs ?? 0, (row.heldUntil ?? 0) - this.#deps.clock())
  }
}
