/** Connections of one state, such as idle ones, that may end for a new one. The address that has most of them loses one first. */
import { EVICTED_AT_ONCE, EVICTION_SEARCH_MS } from '@postern/protocol/limits'
import type { InboundConnection } from './inbound-context.ts'

type Candidate = Pick<InboundConnection, 'addressKey'>
/** Since when a connection has been in that state, in monotonic milliseconds; undefined if it is not. */
type Since<C> = (connection: C) => number | undefined
/** Whether an address may lose a connection. */
type MayLose = (addressKey: string) => boolean

const ANY: MayLose = () => true

interface Chosen<C> {
  readonly connection: C
  readonly since: number
}

/** Those of one address. */
interface Crowd<C> {
  readonly members: Chosen<C>[]
  oldestSince: number
}

/** What a look has found. */
interface Look<C> {
  /** Those that are to end, the next one last. */
  readonly chosen: Chosen<C>[]
  readonly foundSome: boolean
  readonly at: number
}

const NO_LOOK = { chosen: [], foundSome: false, at: Number.NEGATIVE_INFINITY }

export class ReplaceableConnections<C extends Candidate> {
  readonly #connections: Iterable<C>
  readonly #since: Since<C>
  /** Of all connections, or of one address. */
  readonly #looks = new Map<string | undefined, Look<C>>()

  constructor(connections: Iterable<C>, since: Since<C>) {
    this.#connections = connections
    this.#since = since
  }

  /**
   * The next one to end, of this address alone if it is given, and of those addresses that `mayLose` one. Undefined if there is none, or was none a moment ago.
   * `now` is monotonic milliseconds.
   */
  next(now: number, addressKey?: string, mayLose = ANY): C | undefined {
    const { chosen, foundSome, at }: Look<C> = this.#looks.get(addressKey) ?? NO_LOOK
    const found = this.#take(chosen, mayLose)
    const isUsedUp = foundSome && chosen.length === 0
    if (found !== undefined || (!isUsedUp && now - at < EVICTION_SEARCH_MS)) return found
    return this.#take(this.#look(now, addressKey), mayLose)
  }

  /** Depends on no `mayLose`: a newcomer for which none may end does not keep the next one from another look. */
  #look(now: number, addressKey: string | undefined): Chosen<C>[] {
    const chosen = oldestOf([...crowdsOf(this.#connections, this.#since, addressKey).values()]).reverse()
    for (const [key, { at }] of this.#looks) if (now - at >= EVICTION_SEARCH_MS) this.#looks.delete(key)
    this.#looks.set(addressKey, { chosen, foundSome: chosen.length > 0, at: now })
    return chosen
  }

  /** The last of them whose state has not changed since it was chosen, and whose address may lose it. */
  #take(chosen: Chosen<C>[], mayLose: MayLose): C | undefined {
    for (let at = chosen.length - 1; at >= 0; at -= 1) {
      const { connection, since } = chosen[at]!
      const stays = this.#since(connection) === since
      if (stays && !mayLose(connection.addressKey)) continue
      chosen.splice(at, 1)
      if (stays) return connection
    }
    return undefined
  }
}

/** EVICTED_AT_ONCE of them: as if each were looked for anew, the oldest in that state of the address that has most of them left. */
function oldestOf<C>(crowds: Crowd<C>[]): Chosen<C>[] {
  crowds.sort((a, b) => b.members.length - a.members.length || a.oldestSince - b.oldestSince)
  const chosen: Chosen<C>[] = []
  let level = crowds[0]?.members.length ?? 0
  for (; level > 0 && chosen.length < EVICTED_AT_ONCE; level -= 1) {
    for (const { members } of crowds) {
      if (members.length < level || chosen.length === EVICTED_AT_ONCE) break
      const taken = members.length - level
      if (taken === 0) members.sort((a, b) => a.since - b.since)
      chosen.push(members[taken]!)
    }
  }
  return chosen
}

function crowdsOf<C extends Candidate>(
  connections: Iterable<C>,
  sinceOf: Since<C>,
  only: string | undefined,
): Map<string, Crowd<C>> {
  const crowds = new Map<string, Crowd<C>>()
  for (const connection of connections) {
    const { addressKey } = connection
    const since = sinceOf(connection)
    if (since === undefined || (only !== undefined && addressKey !== only)) continue
    const crowd = crowds.get(addressKey)
    if (crowd === undefined) crowds.set(addressKey, { members: [{ connection, since }], oldestSince: since })
    else {
      crowd.members.push({ connection, since })
      crowd.oldestSince = Math.min(crowd.oldestSince, since)
    }
  }
  return crowds
}
