/** How many reads of the table names may cost that are not remembered as somebody's: of all visitors, and fair by address. */
import { RateBucket } from '@postern/protocol/channel'
import { LOOKUP_ADDRESSES, LOOKUPS_AT_ONCE, LOOKUPS_FADE_MS, LOOKUPS_PER_SECOND } from '@postern/protocol/limits'
import { LRUCache } from 'lru-cache'

/** The reads of one address, as they counted at a time in monotonic milliseconds. */
interface Reads {
  readonly count: number
  readonly at: number
}

export class LookupBudget {
  readonly #now: () => number
  readonly #all: RateBucket
  readonly #byAddress = new LRUCache<string, Reads>({ max: LOOKUP_ADDRESSES })

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
    this.#all = new RateBucket(LOOKUPS_PER_SECOND, LOOKUPS_AT_ONCE, now)
  }

  /**
   * Counts one read for a visitor of that address; false if there have been too many. As many must be left for all as the address has had lately: where few are
   * left, those that have asked least come first. Without an address it counts for no visitor.
   */
  take(addressKey: string | undefined): boolean {
    if (addressKey === undefined) return this.#all.take()
    const at = this.#now()
    const before = this.#byAddress.get(addressKey)
    const count = before === undefined ? 0 : before.count * Math.exp((before.at - at) / LOOKUPS_FADE_MS)
    if (this.#all.left < count || !this.#all.take()) return false
    this.#byAddress.set(addressKey, { count: count + 1, at })
    return true
  }
}
