/** Which stream ids the peer has used. Knows nothing of what became of the streams. */

/**
 * Ids may overtake one another by a little: Go's yamux numbers a stream and sends its SYN in two steps that other goroutines
 * may come between. At most this many skipped ids are remembered as still usable; its accept backlog is as large.
 */
const MOST_SKIPPED = 256

export class PeerIds {
  /** The highest id seen; before the first, the one below it (id 0 is reserved for the session). */
  #highest: number
  readonly #skipped = new Set<number>()

  constructor(parity: 'odd' | 'even') {
    this.#highest = parity === 'odd' ? -1 : 0
  }

  /** Takes an id for a new stream. False: it was used before. */
  use(id: number): boolean {
    if (id <= this.#highest) return this.#skipped.delete(id)
    for (let skipped = this.#highest + 2; skipped < id && this.#skipped.size < MOST_SKIPPED; skipped += 2) {
      this.#skipped.add(skipped)
    }
    this.#highest = id
    return true
  }

  /** Whether a frame of a stream that is not open may still arrive in good faith: the stream was open once. */
  wasUsed(id: number): boolean {
    return id <= this.#highest && !this.#skipped.has(id)
  }
}
