/** The requests that have a stream of a route, in no order. */
import type { Evictable } from './eviction.ts'

/** A request that can be taken out of the list without a search. */
export interface RouteUser extends Evictable {
  /** Where the list has it. */
  place: number
}

/** An array, because a Set hashes, grows and shrinks with every request. A user is in one list at a time. */
export class RouteUsers implements Iterable<RouteUser> {
  readonly #users: RouteUser[] = []

  get size(): number {
    return this.#users.length
  }

  add(user: RouteUser): void {
    user.place = this.#users.length
    this.#users.push(user)
  }

  /** Harmless for one that is not in the list. */
  delete(user: RouteUser): void {
    const users = this.#users
    if (users[user.place] !== user) return
    const last = users.pop()!
    if (last === user) return
    users[user.place] = last
    last.place = user.place
  }

  /** Of those that are in the list now: it may change meanwhile. */
  [Symbol.iterator](): Iterator<RouteUser> {
    return [...this.#users].values()
  }
}
