/** Requests for tunnels whose agents have just left: so many wait, so long, for the next channel of the name. Knows nothing of sockets or HTTP. */
import type { Subdomain } from '@postern/protocol/address'
import { HELD_PER_NAME, HELD_PER_TASK } from '@postern/protocol/limits'
import type { Route } from '../route/route.ts'

/** A request that waits. Exactly one of the two is called, once, unless it leaves before. */
export interface Guest {
  /** The name has a channel again. */
  admit(route: Route): void
  /** Its time is over. */
  turnAway(): void
}

export interface WaitingRoomDeps {
  readonly routes: {
    /** For how long a request that comes now may wait; milliseconds, 0: not at all. */
    holdMs(subdomain: Subdomain): number
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
interface Waiter {
  /** Each with the end of its time, in the order they came. */
  readonly guests: Map<Guest, number>
  forgetRoute(): void
  stopTimer(): void
}

export class WaitingRoom {
  readonly #deps: WaitingRoomDeps
  readonly #waiters = new Map<Subdomain, Waiter>()
  #size = 0

  constructor(deps: WaitingRoomDeps) {
    this.#deps = deps
  }

  /** Requests that wait. */
  get size(): number {
    return this.#size
  }

  /** Returns the leaving, harmless when repeated or late; undefined if this request may not wait, or too many do. */
  enter(subdomain: Subdomain, guest: Guest): (() => void) | undefined {
    const { routes, now, counts } = this.#deps
    const holdMs = routes.holdMs(subdomain)
    const before = this.#waiters.get(subdomain)
    if (holdMs <= 0 || this.#size >= HELD_PER_TASK || (before?.guests.size ?? 0) >= HELD_PER_NAME) return undefined
    const waiter = before ?? this.#open(subdomain)
    waiter.guests.set(guest, now() + holdMs)
    this.#size += 1
    if (waiter.guests.size === 1) this.#arm(subdomain, waiter)
    counts.held()
    return () => {
      if (this.#remove(waiter, guest) && waiter.guests.size === 0) this.#close(subdomain, waiter)
    }
  }

  #open(subdomain: Subdomain): Waiter {
    const waiter: Waiter = {
      guests: new Map(),
      // A channel of this task. Of another task's nobody is told: whoever looks for those in the table does so here, for all guests at once.
      forgetRoute: this.#deps.routes.whenBack(subdomain, (route) => this.#admitAll(subdomain, waiter, route)),
      stopTimer: () => {},
    }
    this.#waiters.set(subdomain, waiter)
    return waiter
  }

  #close(subdomain: Subdomain, waiter: Waiter): void {
    waiter.forgetRoute()
    waiter.stopTimer()
    if (this.#waiters.get(subdomain) === waiter) this.#waiters.delete(subdomain)
  }

  #remove(waiter: Waiter, guest: Guest): boolean {
    const was = waiter.guests.delete(guest)
    if (was) this.#size -= 1
    return was
  }

  #admitAll(subdomain: Subdomain, waiter: Waiter, route: Route): void {
    this.#close(subdomain, waiter)
    for (const guest of waiter.guests.keys()) if (this.#remove(waiter, guest)) guest.admit(route)
  }

  /** One timer for the name, for whose time is over first. */
  #arm(subdomain: Subdomain, waiter: Waiter): void {
    waiter.stopTimer()
    const first = Math.min(...waiter.guests.values())
    waiter.stopTimer = this.#deps.after(Math.max(0, first - this.#deps.now()), () => {
      const now = this.#deps.now()
      const over = [...waiter.guests].filter(([, until]) => until <= now)
      for (const [guest] of over) if (this.#remove(waiter, guest)) guest.turnAway()
      if (waiter.guests.size > 0) this.#arm(subdomain, waiter)
      else this.#close(subdomain, waiter)
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
