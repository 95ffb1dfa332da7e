/** Requests that wait for the next free stream of one tunnel, fair by visitor: each address has its turn, whatever the number of its requests. */
import { TunnelFault } from '@postern/protocol/fault'
import { QUEUED_PER_TUNNEL } from '@postern/protocol/limits'
import { type PlacedRequests, QueuePlaces } from './queue-places.ts'
import { type DisplaceableRequest, RequestsByAddress } from './requests-by-address.ts'

export interface QueuedRequest extends DisplaceableRequest {
  /** A stream may be free: it asks for one, and enters again if there is none. */
  retry(): void
}

export class StreamQueue implements PlacedRequests {
  readonly tenant: string | undefined
  readonly #places: QueuePlaces
  readonly #waiting = new RequestsByAddress<QueuedRequest>()
  #scheduled = false
  /** Asks for a stream just now. */
  #offered: QueuedRequest | undefined
  /** It found none. */
  #refused = false

  /** `places`: shared by all tunnels of the node; `tenant`: whose tunnel it is. */
  constructor(places = new QueuePlaces(), tenant?: string) {
    this.#places = places
    this.tenant = tenant
  }

  /** Requests that wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** To be called before a stream is handed out: nobody overtakes those that wait. @throws TunnelFault `streams-exhausted` */
  guard(): void {
    if (this.size > 0 && this.#offered === undefined) throw new TunnelFault('streams-exhausted')
  }

  /** Returns the leaving, harmless when repeated or late; undefined if too many wait. A request that found no stream on `retry` keeps its place. */
  enter(request: QueuedRequest): (() => void) | undefined {
    if (request === this.#offered) this.#refused = true
    else if (!this.#places.take(this, request.addressKey)) return undefined
    else this.#add(request)
    return () => this.#remove(request)
  }

  /** A stream may be free: those that wait are asked, one after the other, until one finds none. */
  freed(): void {
    if (this.size === 0 || this.#scheduled) return
    this.#scheduled = true
    // What frees a stream has yet to finish its own work.
    queueMicrotask(() => {
      this.#scheduled = false
      let found = true
      while (found && this.size > 0) found = this.#offer(this.#nextAddress()!)
    })
  }

  /**
   * Called about once a second: what a request may evict changes with time, and not every free stream is reported. Each address asks in its turn until
   * it finds none.
   */
  sweep(): void {
    let asking = [...this.#waiting.addresses]
    while (asking.length > 0) asking = asking.filter((key) => this.#offer(key))
  }

  /** How many requests of that address wait. */
  waitingFrom(addressKey: string): number {
    return this.#waiting.from(addressKey)
  }

  /** Ends the latest request of the address that has the most, if that has more than `least`. False if none has. */
  displace(least: number): boolean {
    const last = this.#waiting.excess(least)
    if (last === undefined) return false
    this.#remove(last)
    last.displaced()
    return true
  }

  get full(): boolean {
    return this.size >= QUEUED_PER_TUNNEL
  }

  #nextAddress(): string | undefined {
    const [first] = this.#waiting.addresses
    return first
  }

  /** The first request of that address asks for a stream. If it finds one, the address goes behind the others. False if it finds none. */
  #offer(addressKey: string): boolean {
    const request = this.#waiting.first(addressKey)
    if (request === undefined) return false
    this.#offered = request
    this.#refused = false
    try {
      request.retry()
    } finally {
      this.#offered = undefined
      if (!this.#refused) this.#remove(request)
    }
    if (this.#refused) return false
    this.#waiting.moveBehind(addressKey)
    return true
  }

  #add(request: QueuedRequest): void {
    this.#waiting.add(request)
    this.#places.changed(this, 1)
  }

  #remove(request: QueuedRequest): void {
    if (this.#waiting.remove(request)) this.#places.changed(this, -1)
  }
}
