/** What all grown receive windows of a process may promise beyond their initial size, shared by tenant, then by channel, then by stream. */
import { WINDOW_SHORT_MS } from '../limits.ts'

/** Growth smaller than this is not worth a promise. */
const SMALLEST_GRANT_BYTES = 64 * 1024
/** Windows that rest are looked for no more often than this, in milliseconds, and those who have most for one channel no more often. */
const LOOK_MS = 5

/** A window, as far as its growth goes. */
export interface GrowingWindow {
  /** Bytes of growth that count. */
  readonly grown: number
  /** Whether it has used so little for so long that it does not need its growth. */
  restsAt(now: number): boolean
  /** Its growth counts no longer. It is promised until the window gets on: what its peer then sends is not credited. */
  rest(): void
  /** `bytes` of its growth are wanted by others: that much is not credited next time. */
  askBack(bytes: number): void
}

interface Tenant {
  readonly shares: Set<WindowShare>
  grown: number
  resting: number
}

interface Claim {
  readonly share: WindowShare
  readonly window: GrowingWindow
}

export class WindowBudget {
  readonly bytes: number
  #free: number
  /** Those that have growth, by their name; a share of nobody's stands for itself. */
  readonly #tenants = new Map<string | WindowShare, Tenant>()
  /** Who got too little last, and has less than others. */
  #short: (Claim & { readonly until: number }) | undefined
  /** When windows that rest were last looked for. */
  #restedAt = -Infinity

  /** `bytes`: WINDOW_BUDGET_BYTES or a quarter of the memory limit, whichever is less. 0 keeps every window at its initial size. */
  constructor(bytes: number) {
    this.bytes = bytes
    this.#free = bytes
  }

  /** Bytes that count for nobody. */
  get free(): number {
    return this.#free
  }

  /** The part of one channel. Channels of one tenant share what a channel without one has for itself. */
  share(tenant?: string): WindowShare {
    return new WindowShare(this, tenant)
  }

  /** Up to `wanted` bytes for a window of the share; perhaps 0. Called by the share. */
  take(claim: Claim, wanted: number, now: number): number {
    const tenant = this.#tenantOf(claim.share)
    // What rests is promised too: visitors of one tenant that stop reading one after the other have no more than the budget held.
    const most = Math.min(wanted, this.bytes - tenant.grown - tenant.resting)
    let granted = this.#grant(claim, most, now)
    if (granted < most && now - this.#restedAt >= LOOK_MS) {
      this.#restedAt = now
      this.#restIdle(now)
      granted = this.#grant(claim, most, now)
    }
    if (granted < wanted && now - claim.share.askedAt >= LOOK_MS) {
      claim.share.askedAt = now
      this.#askOthers(claim, tenant, wanted - granted, now)
    }
    if (granted === 0) return 0
    this.#free -= granted
    this.#count(claim.share, tenant, granted, 0)
    return granted
  }

  /** What `take` granted counts no longer. `resting`: it is still promised. Called by the share. */
  giveBack(share: WindowShare, bytes: number, resting: number): void {
    this.#free += bytes
    this.#count(share, this.#tenantOf(share), -bytes, resting)
  }

  /**
   * Who is short gets all there is; who has more than the one who is short gets nothing for as long. Otherwise nobody gets more than half of what is
   * left, so that a late one finds some without having to wait for it.
   */
  #grant(claim: Claim, wanted: number, now: number): number {
    const short = this.#shortAt(now)
    if (short !== undefined && this.#lead(claim, short) > 0) return 0
    const granted = Math.min(wanted, short?.window === claim.window ? this.#free : Math.floor(this.#free / 2))
    return granted < SMALLEST_GRANT_BYTES ? 0 : granted
  }

  /** By how many bytes the first has more: its tenant, of one tenant its channel, of one channel its window. */
  #lead(claim: Claim, other: Claim): number {
    const [tenant, others] = [this.#tenantOf(claim.share), this.#tenantOf(other.share)]
    if (tenant !== others) return tenant.grown - others.grown
    if (claim.share !== other.share) return claim.share.grown - other.share.grown
    return claim.window.grown - other.window.grown
  }

  #restIdle(now: number): void {
    for (const { shares } of [...this.#tenants.values()])
      for (const { windows } of [...shares]) for (const window of [...windows]) if (window.restsAt(now)) window.rest()
  }

  /** Half of what another one has more is asked of it: of the largest tenant, else of the own tenant's largest channel, else of the own channel's largest window. */
  #askOthers(claim: Claim, tenant: Tenant, wanted: number, now: number): void {
    // What others have is of no use to a tenant that may be promised no more.
    const isFull = tenant.grown + tenant.resting > this.bytes - SMALLEST_GRANT_BYTES
    const largest = isFull ? undefined : mostGrown(this.#tenants.values())
    const victims = [largest && mostGrown(largest.shares), mostGrown(tenant.shares), claim.share]
    for (const share of victims) {
      const window = share && mostGrown(share.windows)
      if (share === undefined || window === undefined) continue
      const half = Math.floor(this.#lead({ share, window }, claim) / 2)
      if (half < SMALLEST_GRANT_BYTES) continue
      window.askBack(Math.min(wanted, half))
      const short = this.#shortAt(now)
      if (short === undefined || this.#lead(claim, short) <= 0) this.#short = { ...claim, until: now + WINDOW_SHORT_MS }
      return
    }
  }

  #shortAt(now: number): Claim | undefined {
    return this.#short !== undefined && now < this.#short.until ? this.#short : undefined
  }

  /** A tenant without growth stands in no list. */
  #tenantOf(share: WindowShare): Tenant {
    return this.#tenants.get(share.tenant ?? share) ?? { shares: new Set(), grown: 0, resting: 0 }
  }

  #count(share: WindowShare, tenant: Tenant, grown: number, resting: number): void {
    share.grown += grown
    share.resting += resting
    tenant.grown += grown
    tenant.resting += resting
    if (share.grown + share.resting > 0) tenant.shares.add(share)
    else tenant.shares.delete(share)
    if (tenant.shares.size > 0) this.#tenants.set(share.tenant ?? share, tenant)
    else this.#tenants.delete(share.tenant ?? share)
  }
}

/** What the windows of one channel have of the budget. */
export class WindowShare {
  readonly tenant: string | undefined
  grown = 0
  resting = 0
  readonly windows = new Set<GrowingWindow>()
  /** When others were last asked to give something back for it. */
  askedAt = -Infinity
  readonly #budget: WindowBudget

  constructor(budget: WindowBudget, tenant: string | undefined) {
    this.#budget = budget
    this.tenant = tenant
  }

  /** Returns how much the window may grow: `wanted` bytes or less, perhaps 0. */
  take(window: GrowingWindow, wanted: number, now: number): number {
    const granted = this.#budget.take({ share: this, window }, wanted, now)
    if (granted > 0) this.windows.add(window)
    return granted
  }

  /** So much growth is promised no longer. `grown` and `resting`: of what counted, and of what did not. */
  giveBack(window: GrowingWindow, grown: number, resting: number): void {
    if (window.grown === grown) this.windows.delete(window)
    this.#budget.giveBack(this, grown, -resting)
  }

  /** So much growth counts no longer, and is still promised. */
  rest(window: GrowingWindow, grown: number): void {
    this.windows.delete(window)
    this.#budget.giveBack(this, grown, grown)
  }
}

function mostGrown<T extends { readonly grown: number }>(all: Iterable<T>): T | undefined {
  let most: T | undefined
  for (const one of all) if (most === undefined || one.grown > most.grown) most = one
  return most
}
