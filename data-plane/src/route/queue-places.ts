/** The places of all requests of a node that wait: where they are few, the tenant, the tunnel and the address that have the most give one up. */
import { QUEUED_PER_NODE } from '@postern/protocol/limits'

/** Requests that wait for the same tunnel. */
export interface PlacedRequests {
  /** Who answers for the tunnel; a tunnel without one stands for itself. */
  readonly tenant?: string | undefined
  readonly size: number
  /** It may have no more of its own. */
  readonly full: boolean
  /** How many requests of that address wait. */
  waitingFrom(addressKey: string): number
  /** Ends the latest request of the address that has the most, if that has more than `least`. False if none has. */
  displace(least: number): boolean
}

export class QueuePlaces {
  readonly #places: number
  /** Those in which a request waits. */
  readonly #queues = new Set<PlacedRequests>()
  #taken = 0

  constructor(places = QUEUED_PER_NODE) {
    this.#places = places
  }

  get taken(): number {
    return this.#taken
  }

  /** Whether one more request of that address may enter `queue`; another one may be displaced for it. */
  take(queue: PlacedRequests, addressKey: string): boolean {
    if (this.#taken < this.#places && !queue.full) return true
    const largest = queue.full ? queue : this.#largest(queue)
    if (largest !== queue) return largest.displace(0)
    return queue.displace(queue.waitingFrom(addressKey) + 1)
  }

  /** A request has entered the queue, or left it. */
  changed(queue: PlacedRequests, by: 1 | -1): void {
    this.#taken += by
    if (queue.size === 0) this.#queues.delete(queue)
    else this.#queues.add(queue)
  }

  /** The queue from which a request is displaced for one more in `queue`: only where that evens things out. */
  #largest(queue: PlacedRequests): PlacedRequests {
    const byTenant = new Map<unknown, PlacedRequests[]>()
    for (const each of this.#queues) {
      const tenant = tenantOf(each)
      const queues = byTenant.get(tenant)
      if (queues === undefined) byTenant.set(tenant, [each])
      else queues.push(each)
    }
    const own = byTenant.get(tenantOf(queue)) ?? []
    const most = mostOf([...byTenant.values()], sizeOf, own)
    return mostOf(most, ({ size }) => size, most === own ? queue : undefined)
  }
}

const tenantOf = (queue: PlacedRequests): unknown => queue.tenant ?? queue

const sizeOf = (queues: readonly PlacedRequests[]): number => queues.reduce((sum, { size }) => sum + size, 0)

/** The largest, or `own` if that is no more than one smaller. */
function mostOf<T>(all: readonly T[], size: (each: T) => number, own?: T): T {
  const most = all.reduce((largest, each) => (size(each) > size(largest) ? each : largest), all[0]!)
  return own !== undefined && size(most) <= size(own) + 1 ? own : most
}
