/** Where names are, as the table said last. Knows nothing of how a task is reached, nor of requests. */
import type { Subdomain } from '@postern/protocol/address'
import { RateBucket } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  LOOKUP_MS,
  LOOKUPS_AT_ONCE,
  LOOKUPS_PER_SECOND,
  ROUTE_ABSENT_MS,
  ROUTE_FRESH_MS,
  ROUTES_REMEMBERED,
  TABLE_OUTAGE_MS,
} from '@postern/protocol/limits'
import type { Route, RouteStore } from '@postern/protocol/store'
import { LRUCache } from 'lru-cache'

export interface RouteTableDeps {
  readonly routes: Pick<RouteStore, 'list'>
  /** Whether a route leads anywhere, as far as is known. */
  isLive(route: Route): boolean
  /** Monotonic milliseconds. */
  now(): number
  readonly counts: { lookup(): void }
}

interface Known {
  readonly routes: readonly Route[]
  readonly readAt: number
  /** When the latest read began, whatever came of it. */
  readonly triedAt: number
  readonly freshUntil: number
  /** Their owner says that the table, as we read it, is wrong: it is to be read strongly consistent. */
  readonly doubted: boolean
}

interface Reading {
  readonly consistent: boolean
  readonly read: Promise<TunnelFault | undefined>
}

export class RouteTable {
  readonly #deps: RouteTableDeps
  readonly #known = new LRUCache<Subdomain, Known>({ max: ROUTES_REMEMBERED })
  readonly #readings = new Map<Subdomain, Reading>()
  readonly #budget: RateBucket

  constructor(deps: RouteTableDeps) {
    this.#deps = deps
    this.#budget = new RateBucket(LOOKUPS_PER_SECOND, LOOKUPS_AT_ONCE, deps.now)
  }

  /** What is known of the name; undefined: it must be read first. */
  get(name: Subdomain): readonly Route[] | undefined {
    const known = this.#known.get(name)
    return known !== undefined && known.freshUntil > this.#deps.now() ? known.routes : undefined
  }

  /** What was known of it, however long ago. */
  remembered(name: Subdomain): readonly Route[] | undefined {
    return this.#known.get(name)?.routes
  }

  /** Whether what is known of it was tried to be read within so many milliseconds. */
  triedWithin(ms: number, name: Subdomain): boolean {
    return this.#deps.now() - (this.#known.get(name)?.triedAt ?? Number.NEGATIVE_INFINITY) < ms
  }

  /** What is known of the name is wrong. */
  doubt(name: Subdomain): void {
    const known = this.#known.get(name)
    if (known !== undefined) this.#known.set(name, { ...known, freshUntil: 0, doubted: true })
  }

  /**
   * Reads the name, once for all who ask at the same time. Undefined: `get` knows it, if only from before, while the table is out of reach.
   * Never rejects; faults: `store-unavailable`, `lookups-exhausted`.
   */
  look(name: Subdomain): Promise<TunnelFault | undefined> {
    const consistent = this.#known.get(name)?.doubted === true
    const under = this.#readings.get(name)
    if (under !== undefined && (under.consistent || !consistent)) return under.read
    // Whoever is known is no random name.
    if (!this.#known.has(name) && !this.#budget.take())
      return Promise.resolve(new TunnelFault('lookups-exhausted', undefined, { retryAfterMs: 1000 }))
    return this.#begin(name, consistent)
  }

  /** Reads the name, whatever is known of it: for requests that wait until that changes. As `look`. */
  lookAgain(name: Subdomain): Promise<TunnelFault | undefined> {
    const under = this.#readings.get(name)
    return under?.consistent ? under.read : this.#begin(name, true)
  }

  #begin(name: Subdomain, consistent: boolean): Promise<TunnelFault | undefined> {
    const late = (fault: TunnelFault): TunnelFault | undefined => this.#outage(name, consistent, fault)
    const read = inTime(this.#read(name, consistent), late).finally(() => {
      if (this.#readings.get(name)?.read === read) this.#readings.delete(name)
    })
    this.#readings.set(name, { consistent, read })
    return read
  }

  async #read(name: Subdomain, consistent: boolean): Promise<TunnelFault | undefined> {
    const { routes: table, now, isLive, counts } = this.#deps
    const began = now()
    counts.lookup()
    this.#note(name, { triedAt: began, doubted: false })
    try {
      const routes = await table.list(name, { consistent })
      const known = this.#known.get(name)
      // One that was begun earlier and took longer knows less.
      if (known !== undefined && known.readAt > began) return undefined
      const freshMs = routes.some(isLive) ? ROUTE_FRESH_MS : ROUTE_ABSENT_MS
      // What was doubted meanwhile is read again.
      const doubted = known?.doubted === true
      this.#known.set(name, {
        routes,
        readAt: began,
        triedAt: began,
        freshUntil: doubted ? 0 : now() + freshMs,
        doubted,
      })
      return undefined
    } catch (error) {
      return this.#outage(name, consistent, toFault(error, 'store-unavailable'))
    }
  }

  /** What was read within TABLE_OUTAGE_MS serves on, and is read again in a moment. */
  #outage(name: Subdomain, consistent: boolean, fault: TunnelFault): TunnelFault | undefined {
    if (consistent) this.#note(name, { doubted: true })
    const known = this.#known.get(name)
    const now = this.#deps.now()
    if (known === undefined || now - known.readAt >= TABLE_OUTAGE_MS) return fault
    this.#note(name, { freshUntil: now + ROUTE_ABSENT_MS })
    return undefined
  }

  #note(name: Subdomain, facts: Partial<Known>): void {
    const known = this.#known.get(name)
    if (known !== undefined) this.#known.set(name, { ...known, ...facts })
  }
}

/** A table that does not answer is waited for by itself; whoever asks is not kept so long, and gets what `late` says. */
async function inTime(
  read: Promise<TunnelFault | undefined>,
  late: (fault: TunnelFault) => TunnelFault | undefined,
): Promise<TunnelFault | undefined> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<TunnelFault | undefined>((resolve) => {
    const tooLong = (): void => resolve(late(new TunnelFault('store-unavailable', 'It takes too long to answer.')))
    timer = setTimeout(tooLong, LOOKUP_MS)
  })
  try {
    return await Promise.race([read, timeout])
  } finally {
    clearTimeout(timer)
  }
}
