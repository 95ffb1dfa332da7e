/** Chooses the connection that ends when a new one needs its place: one without a request, of the address that has most of them. */
import { EVICTED_AT_ONCE, EVICTION_SEARCH_MS } from '@postern/protocol/limits'
import type { InboundConnection } from './inbound-context.ts'

type Candidate = Pick<InboundConnection, 'addressKey' | 'idleSince'>

interface Chosen<C> {
  readonly connection: C
  readonly idleSince: number
}

/** The idle connections of one address. */
interface Crowd<C> {
  readonly idle: Chosen<C>[]
  oldestSince: number
}

/** What a look has found. */
interface Look<C> {
  /** Those that are to end, the next one last. */
  readonly chosen: Chosen<C>[]
  /** No look before this: it found none. */
  readonly againAt: number
}

export class IdleConnections<C extends Candidate> {
  readonly #connections: Iterable<C>
  /** Of all connections, or of one address. */
  readonly #looks = new Map<string | undefined, Look<C>>()

  constructor(connections: Iterable<C>) {
    this.#connections = connections
  }

  /** The next one to end, of this address alone if it is given. Undefined if none is idle, or none was a moment ago. `now` is monotonic milliseconds. */
  next(now: number, addressKey?: string): C | undefined {
    const { chosen = [], againAt = 0 } = this.#looks.get(addressKey) ?? {}
    const found = stillIdle(chosen)
    return found === undefined && now >= againAt ? stillIdle(this.#look(now, addressKey)) : found
  }

  #look(now: number, addressKey: string | undefined): Chosen<C>[] {
    const chosen = idlestOfLargestCrowds(this.#connections, addressKey).reverse()
    const againAt = chosen.length === 0 ? now + EVICTION_SEARCH_MS : now
    for (const [key, look] of this.#looks) if (look.chosen.length === 0 && look.againAt <= now) this.#looks.delete(key)
    this.#looks.set(addressKey, { chosen, againAt })
    return chosen
  }
}

/** The last of them that has had no request since it was chosen. */
function stillIdle<C extends Candidate>(chosen: Chosen<C>[]): C | undefined {
  for (let last = chosen.pop(); last !== undefined; last = chosen.pop())
    if (last.connection.idleSince === last.idleSince) return last.connection
  return undefined
}

/** EVICTED_AT_ONCE of them: as if each were looked for anew, the one that has been idle the longest of the address that has most idle ones left. */
function idlestOfLargestCrowds<C extends Candidate>(connections: Iterable<C>, only: string | undefined): Chosen<C>[] {
  const crowds = [...crowdsOf(connections, only).values()]
  crowds.sort((a, b) => b.idle.length - a.idle.length || a.oldestSince - b.oldestSince)
  const chosen: Chosen<C>[] = []
  let level = crowds[0]?.idle.length ?? 0
  for (; level > 0 && chosen.length < EVICTED_AT_ONCE; level -= 1) {
    for (const { idle } of crowds) {
      if (idle.length < level || chosen.length === EVICTED_AT_ONCE) break
      const taken = idle.length - level
      if (taken === 0) idle.sort((a, b) => a.idleSince - b.idleSince)
      chosen.push(idle[taken]!)
    }
  }
  return chosen
}

function crowdsOf<C extends Candidate>(connections: Iterable<C>, only: string | undefined): Map<string, Crowd<C>> {
  const crowds = new Map<string, Crowd<C>>()
  for (const connection of connections) {
    const { addressKey, idleSince } = connection
    if (idleSince === undefined || (only !== undefined && addressKey !== only)) continue
    const crowd = crowds.get(addressKey)
    if (crowd === undefined) crowds.set(addressKey, { idle: [{ connection, idleSince }], oldestSince: idleSince })
    else {
      crowd.idle.push({ connection, idleSince })
      crowd.oldestSince = Math.min(crowd.oldestSince, idleSince)
    }
  }
  return crowds
}
