/** The places in the queues of all tunnels of a node: where they are few, the tunnel and the address that have the most give one up. */
import { QUEUED_PER_NODE } from '@postern/protocol/limits'
import type { StreamQueue } from './stream-queue.ts'

export class QueuePlaces {
  /** Queues in which a request waits. */
  readonly #queues = new Set<StreamQueue>()
  #taken = 0

  /** Whether one more request of that address may enter `queue`; another one may be displaced for it. */
  take(queue: StreamQueue, addressKey: string): boolean {
    if (this.#taken < QUEUED_PER_NODE && !queue.full) return true
    const largest = queue.full ? queue : this.#largest()
    // A request is displaced only where that evens things out.
    if (largest !== queue && largest.size > queue.size + 1) return largest.displace(0)
    return queue.displace(queue.waitingFrom(addressKey) + 1)
  }

  /** A request has entered the queue, or left it. */
  changed(queue: StreamQueue, by: 1 | -1): void {
    this.#taken += by
    if (queue.size === 0) this.#queues.delete(queue)
    else this.#queues.add(queue)
  }

  #largest(): StreamQueue {
    return [...this.#queues].reduce((most, queue) => (queue.size > most.size ? queue : most))
  }
}
