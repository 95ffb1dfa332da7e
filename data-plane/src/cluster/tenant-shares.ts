/** The streams of one channel between nodes by tenant: the guard of memory judges, refuses and resets each tenant's share by itself. */
import type { Channel } from '@postern/protocol/channel'
import type { RawStream } from '@postern/protocol/mux'
import type { Yielding } from '../channel/memory-guard.ts'

type SharedChannel = Pick<Channel, 'eachHeld' | 'resetLongestStalled'>

/** What one tenant has on the channel. */
export class TenantShare implements Yielding {
  readonly tenant: string
  /** The tenant gets no new stream on this channel. */
  refusing = false
  /** As of the last `TenantShares.all`. */
  heldBytes = 0
  readonly #shares: TenantShares

  constructor(tenant: string, shares: TenantShares) {
    this.tenant = tenant
    this.#shares = shares
  }

  resetLongestStalled(): boolean {
    return this.#shares.resetLongestStalled(this)
  }
}

export class TenantShares {
  readonly #channel: SharedChannel
  /** At most one for each account; a channel lives for a day. */
  readonly #byTenant = new Map<string, TenantShare>()
  readonly #ofStream = new WeakMap<RawStream, TenantShare>()

  constructor(channel: SharedChannel) {
    this.#channel = channel
  }

  of(tenant: string): TenantShare {
    let share = this.#byTenant.get(tenant)
    if (share === undefined) {
      share = new TenantShare(tenant, this)
      this.#byTenant.set(tenant, share)
    }
    return share
  }

  /** The stream belongs to that tenant from now on. A stream without a tenant holds less than a preamble, and is not counted. */
  assign(stream: RawStream, share: TenantShare): void {
    this.#ofStream.set(stream, share)
  }

  /** Every share, with what it holds now. */
  all(): Iterable<TenantShare> {
    for (const share of this.#byTenant.values()) share.heldBytes = 0
    this.#channel.eachHeld((stream, heldBytes) => {
      const share = this.#ofStream.get(stream)
      if (share !== undefined) share.heldBytes += heldBytes
    })
    return this.#byTenant.values()
  }

  resetLongestStalled(share: TenantShare): boolean {
    return this.#channel.resetLongestStalled((stream) => this.#ofStream.get(stream) === share)
  }
}
