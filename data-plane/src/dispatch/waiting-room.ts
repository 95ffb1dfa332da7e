/** Requests for tunnels whose agents have just left: so many wait, so long, for the next channel of the name. Knows nothing of sockets or HTTP. */
import type { Subdomain } from '@postern/protocol/address'
import { HELD_PER_NAME, HELD_PER_TASK } from '@postern/protocol/limits'
import { type PlacedRequests, QueuePlaces } from '../route/queue-places.ts'
import { type DisplaceableRequest, RequestsByAddress } from '../route/requests-by-address.ts'
import type { Route } from '../route/route.ts'

/** A request that waits. Exactly one of the three is called, once, unless it leaves before. */
export interface Guest extends DisplaceableRequest {
  /** The name has a channel again. */
  admit(route: Route): void
  /** Its time is over. */
  turnAway(): void
}

export interface WaitingRoomDeps {
  readonly routes: {
    /** For how long a request that comes now may wait; milliseconds, 0: not at all. */
    holdMs(subdomain: Subdomain): number
    /** Who answers for the name, which is away. */
    tenantOf(subdomain: Subdomain): string | undefined
    /** Tells once, when the name has a route. Returns the removal. */
    whenBack(subdomain: Subdomain, back: (route: Route) => void): () => void
  }
  /** Monotonic milliseconds. */
  now(): number
  /** Runs once after so many milliseconds. Returns the removal. */
  after(ms: number, run: () => void): () => void
  readonly counts: { held(): void }
}

/** What all requests for one name share. */
class Waiter implements PlacedRequests {
  readonly tenant: string | undefined
  /** Each with the end of its time, in the order they came. */
  readonly guests = new Map<Guest, number>()
  forgetRoute = (): void => {}
  stopTimer = (): void => {}
  readonly #places: QueuePlaces
  readonly #emptied: () => void
  readonly #byAddress = new RequestsByAddress<Guest>()

  /** `emptied` is called when the last request has left. */
  constructor(places: QueuePlaces, tenant: string | undefined, emptied: () => void) {
    this.#places = places
    this.tenant = tenant
    this.#emptied = emptied
  }

  get size(): number {
    return this.guests.size
  }

  get full(): boolean {
    return this.size >= HELD_PER_NAME
  }

  waitingFrom(addressKey: string): number {
    return this.#byAddress.from(addressKey)
  }

  displace(least: number): boolean {
    const guest = this.#byAddress.excess(least)
    if (guest === undefined) return false
    this.remove(guest)
    guest.displaced()
    return true
  }

  add(guest: Guest, until: number): void {
    this.guests.set(guest, until)
    this.#byAddress.add(guest)
    this.#places.changed(this, 1)
  }

  /** False if it does not wait. */
  remove(guest: Guest): boolean {
    const was = this.guests.delete(guest) && this.#byAddress.remove(guest)
    if (!was) return false
    this.#places.changed(this, -1)
    if (this.size === 0) this.#emptied()
    return true
  }
}

export class WaitingRoom {
  readonly #deps: WaitingRoomDeps
  readonly #waiters = new Map<Subdomain, Waiter>()
  readonly #places = new QueuePlaces(HELD_PER_TASK)

  constructor(deps: WaitingRoomDeps) {
    this.#deps = deps
  }

  /** Requests that wait. */
  get size(): number {
    return this.#places.taken
  }

  /** Returns the leaving, harmless when repeated or late; undefined if this request may not wait, or too many do. */
  enter(subdomain: Subdomain, guest: Guest): (() => void) | undefined {
    const { routes, now, counts } = this.#deps
    const holdMs = routes.holdMs(subdomain)
    if (holdMs <= 0) return undefined
    const waiter = this.#waiters.get(subdomain) ?? this.#open(subdomain)
    if (!this.#places.take(waiter, guest.addressKey)) {
      if (waiter.size === 0) this.#close(subdomain, waiter)
      return undefined
    }
    waiter.add(guest, now() + holdMs)
    if (waiter.size === 1) this.#arm(waiter)
    counts.held()
    return () => void waiter.remove(guest)
  }

  #open(subdomain: Subdomain): Waiter {
    const { routes } = this.#deps
    const waiter = new Waiter(this.#places, routes.tenantOf(subdomain), () => this.#close(subdomain, waiter))
    // A channel of this node reports itself. Those of other nodes are looked up in the table, once for all guests.
    waiter.forgetRoute = routes.whenBack(subdomain, (route) => this.#admitAll(subdomain, waiter, route))
    this.#waiters.set(subdomain, waiter)
    return waiter
  }

  #close(subdomain: Subdomain, waiter: Waiter): void {
    waiter.forgetRoute()
    waiter.stopTimer()
    if (this.#waiters.get(subdomain) === waiter) this.#waiters.delete(subdomain)
  }

  #admitAll(subdomain: Subdomain, waiter: Waiter, route: Route): void {
    this.#close(subdomain, waiter)
    for (const guest of waiter.guests.keys()) if (waiter.remove(guest)) guest.admit(route)
  }

  /** One timer for the name, for whose time is over first. */
  #arm(waiter: Waiter): void {
    waiter.stopTimer()
    const first = Math.min(...waiter.guests.values())
    waiter.stopTimer = this.#deps.after(Math.max(0, first - this.#deps.now()), () => {
      const now = this.#deps.now()
      const over = [...waiter.guests].filter(([, until]) => until <= now)
      for (const [guest] of over) if (waiter.remove(guest)) guest.turnAway()
      if (waiter.size > 0) this.#arm(waiter)
    })
  }
}

/** What a request for a tunnel finds whose agent has just left. */
export class Away {
  readonly #room: WaitingRoom
  readonly #subdomain: Subdomain

  constructor(room: WaitingRoom, subdomain: Subdomain) {
    this.#room = room
    this.#subdomain = subdomain
  }

  /** As `WaitingRoom.enter`. */
  hold(guest: Guest): (() => void) | undefined {
    return this.#room.enter(this.#subdomain, guest)
  }
}
