/** The sweeper and the routes under test, with a count of what was handed out and not given back. */
import { type Expirable, Sweeper } from '../../../data-plane/src/inbound/sweeper.ts'
import type { Asker, Freshness, Lease, Route } from '../../../data-plane/src/route/route.ts'
import { VirtualStream } from './virtual-stream.ts'

export class CountedSweeper extends Sweeper {
  items = 0

  override add(item: Expirable): () => void {
    const remove = super.add(item)
    this.items += 1
    let there = true
    return () => {
      if (there) this.items -= 1
      there = false
      remove()
    }
  }
}

/** How a lease was ended: by exactly one of these, but that what is not kept may be reset at any time. */
type LeaseEnd = 'kept' | 'left' | 'reset'

export class CountedLease {
  readonly requestId: string
  readonly reused: boolean
  end: LeaseEnd | undefined

  constructor(lease: Lease, requestId: string) {
    this.reused = lease.reused
    this.requestId = requestId
  }
}

/** Notes of each lease of the routes that it wraps. */
export class LeaseBook {
  readonly leases: CountedLease[] = []
  readonly #violated: (what: string) => void

  constructor(violated: (what: string) => void) {
    this.#violated = violated
  }

  /** Makes `route` count what it lends out. */
  watch(route: Route): void {
    const lend = route.lease.bind(route)
    route.lease = (freshness: Freshness, asker: Asker, again?: boolean): Lease =>
      this.#counted(lend(freshness, asker, again), asker.requestId)
  }

  #counted(lease: Lease, requestId: string): Lease {
    const noted = new CountedLease(lease, requestId)
    this.leases.push(noted)
    const endsAs = (end: LeaseEnd): void => {
      const allowed = noted.end === undefined || (noted.end !== 'kept' && end === 'reset')
      if (!allowed) this.#violated(`a stream of ${requestId} was ${noted.end} and then ${end}`)
      noted.end = end
    }
    return {
      stream: lease.stream,
      reused: lease.reused,
      get tentative() {
        return lease.tentative === true
      },
      keep: (idleMs) => {
        endsAs('kept')
        if (lease.stream instanceof VirtualStream && lease.stream.delivered > lease.stream.excessFrom)
          this.#violated(`a stream of ${requestId} was kept, though more had come than its response`)
        if (lease.stream instanceof VirtualStream && lease.stream.delivered !== lease.stream.consumed)
          this.#violated(
            `a stream of ${requestId} was kept with ${lease.stream.consumed} of ${lease.stream.delivered} bytes consumed`,
          )
        lease.keep(idleMs)
      },
      leave: (unread) => {
        endsAs('left')
        lease.leave(unread)
      },
      reset: () => {
        endsAs('reset')
        lease.reset()
      },
      answered: () => {
        lease.answered?.()
      },
      ...(lease.bind && { bind: () => lease.bind?.() }),
      ...(lease.wake && { wake: () => lease.wake?.() }),
      failure: () => lease.failure(),
    }
  }
}
