/** Cache of the table: where each name is served, and whether it has an owner. */
import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  LOOKUP_MS,
  ROUTE_ABSENT_MS,
  ROUTE_FRESH_MS,
  ROUTES_REMEMBERED,
  TABLE_OUTAGE_MS,
} from '@postern/protocol/limits'
import type { ReservationStore, Route, RouteStore } from '@postern/protocol/store'
import { LRUCache } from 'lru-cache'
import { LookupBudget } from './lookup-budget.ts'
import type { RouteProofs } from './route-proofs.ts'

export interface RouteTableDeps {
  readonly routes: Pick<RouteStore, 'list'>
  readonly owners: Pick<ReservationStore, 'ownerOf'>
  readonly proofs: Pick<RouteProofs, 'believed'>
  /** Whether a route leads anywhere, as far as is known. */
  isLive(route: Route): boolean
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
  readonly counts: { lookup(): void }
}

interface Known {
  /** Those that are believed. */
  readonly routes: readonly Route[]
  /** Undefined: the name has no owner, and its routes were not read. */
  readonly owned: Owned | undefined
  readonly readAt: number
  /** When the latest read began, whatever came of it. */
  readonly triedAt: number
  readonly freshUntil: number
  /** Their owner says that the table, as we read it, is wrong: it is to be read strongly consistent. */
  readonly doubted: boolean
}

interface Owned {
  /** The id of the reservation. */
  readonly owner: string
  /** When the read began that found it. */
  readonly at: number
}

interface Reading {
  readonly consistent: boolean
  readonly read: Promise<TunnelFault | undefined>
}

export class RouteTable {
  readonly #deps: RouteTableDeps
  /** Two caches, so that a scan of random names evicts no name with an owner. */
  readonly #owned = new LRUCache<Subdomain, Known>({ max: ROUTES_REMEMBERED })
  readonly #unowned = new LRUCache<Subdomain, Known>({ max: ROUTES_REMEMBERED })
  readonly #readings = new Map<Subdomain, Reading>()
  readonly #budget: LookupBudget

  constructor(deps: RouteTableDeps) {
    this.#deps = deps
    this.#budget = new LookupBudget(deps.now)
  }

  /** What is known of the name; undefined: it must be read first. */
  get(name: Subdomain): readonly Route[] | undefined {
    const known = this.#find(name)
    return known !== undefined && known.freshUntil > this.#deps.now() ? known.routes : undefined
  }

  /** What was known of it, however long ago. */
  remembered(name: Subdomain): readonly Route[] | undefined {
    return this.#find(name)?.routes
  }

  /** Whether the name had an owner when it was last read. */
  isOwned(name: Subdomain): boolean {
    return this.#owned.has(name)
  }

  /** Whether what is known of it was tried to be read within so many milliseconds. */
  triedWithin(ms: number, name: Subdomain): boolean {
    return this.#deps.now() - (this.#find(name)?.triedAt ?? Number.NEGATIVE_INFINITY) < ms
  }

  /** What is known of the name is wrong. */
  doubt(name: Subdomain): void {
    this.#note(name, { freshUntil: 0, doubted: true })
  }

  /**
   * Reads the name, once for all who ask at the same time. Undefined: `get` knows it, if only from before, while the table is out of reach.
   * Never rejects; faults: `store-unavailable`, `lookups-exhausted`. `addressKey`: of the visitor for whom it is read.
   */
  look(name: Subdomain, addressKey?: string): Promise<TunnelFault | undefined> {
    const consistent = this.#find(name)?.doubted === true
    const under = this.#readings.get(name)
    if (under !== undefined && (under.consistent || !consistent)) return under.read
    // A name with an owner is no random name.
    if (!this.#owned.has(name) && !this.#budget.take(addressKey))
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
    const { now, isLive, counts } = this.#deps
    const began = now()
    counts.lookup()
    const before = this.#find(name)
    this.#note(name, { triedAt: began, doubted: false })
    try {
      const answer = await this.#ask(name, consistent, began, before)
      const known = this.#find(name)
      // One that was begun earlier and took longer knows less.
      if (known !== undefined && known.readAt > began) return undefined
      const freshMs = answer.routes.some(isLive) ? ROUTE_FRESH_MS : ROUTE_ABSENT_MS
      // What was doubted meanwhile is read again.
      const doubted = known?.doubted === true
      const freshUntil = doubted ? 0 : now() + freshMs
      this.#keep(name, { ...answer, readAt: began, triedAt: began, freshUntil, doubted })
      return undefined
    } catch (error) {
      return this.#outage(name, consistent, toFault(error, 'store-unavailable'))
    }
  }

  /**
   * A name without an owner costs one read: its routes are not asked for. The owner of a name is read again only when a route is granted to another
   * reservation, or when no node serves the name and the last answer is old.
   */
  async #ask(
    name: Subdomain,
    consistent: boolean,
    began: number,
    before: Known | undefined,
  ): Promise<Pick<Known, 'routes' | 'owned'>> {
    const { routes: table, proofs, isLive } = this.#deps
    let owned = before?.owned ?? (await this.#readOwner(name, began))
    if (owned === undefined) return UNOWNED
    const rows = await table.list(name, { consistent })
    if (rows.some((row) => isAnothers(row, owned?.owner))) owned = await this.#readOwner(name, began)
    if (owned === undefined) return UNOWNED
    const routes = await proofs.believed(rows, before?.routes ?? [], owned.owner)
    if (routes.some(isLive) || began - owned.at < ROUTE_FRESH_MS) return { routes, owned }
    owned = await this.#readOwner(name, began)
    return owned === undefined ? UNOWNED : { routes, owned }
  }

  async #readOwner(name: Subdomain, at: number): Promise<Owned | undefined> {
    const { owners, clock } = this.#deps
    const owner = await owners.ownerOf(name, clock())
    return owner === undefined ? undefined : { owner, at }
  }

  /** What was read within TABLE_OUTAGE_MS serves on, and is read again in a moment. */
  #outage(name: Subdomain, consistent: boolean, fault: TunnelFault): TunnelFault | undefined {
    if (consistent) this.#note(name, { doubted: true })
    const known = this.#find(name)
    const now = this.#deps.now()
    if (known === undefined || now - known.readAt >= TABLE_OUTAGE_MS) return fault
    this.#note(name, { freshUntil: now + ROUTE_ABSENT_MS })
    return undefined
  }

  #find(name: Subdomain): Known | undefined {
    return this.#owned.get(name) ?? this.#unowned.get(name)
  }

  #keep(name: Subdomain, known: Known): void {
    const isOwned = known.owned !== undefined
    const into = isOwned ? this.#owned : this.#unowned
    const other = isOwned ? this.#unowned : this.#owned
    other.delete(name)
    into.set(name, known)
  }

  #note(name: Subdomain, facts: Partial<Omit<Known, 'owned'>>): void {
    const known = this.#find(name)
    if (known !== undefined) this.#keep(name, { ...known, ...facts })
  }
}

const UNOWNED = { routes: [], owned: undefined } as const

/** A row without a proof says nothing of a reservation that could be believed. */
const isAnothers = (row: Route, owner: string | undefined): boolean =>
  row.routeState === 'online' && row.proof !== undefined && row.reservationId !== owner

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
