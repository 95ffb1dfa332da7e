/** The time of day of monotonic instants, in UTC, as far as the second in bytes. Knows nothing of what happened then. */

export interface Clocks {
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

const SECOND_MS = 1000

/** For instants that come nearly in order: the text of a second is made once, and only then is the time of day asked for. */
export class LineClock {
  readonly #clocks: Clocks
  readonly #prefix: string
  /** When the known second began; monotonic. */
  #from = Infinity
  /** The prefix and ISO 8601: `2026-11-27T00:25:11.`, of the instant that was read last. */
  second: Uint8Array = new Uint8Array()

  /** `prefix` goes before each. */
  constructor(clocks: Clocks, prefix: string) {
    this.#clocks = clocks
    this.#prefix = prefix
  }

  /** Answers the milliseconds in the second; sets `second`. @param at what `now` said */
  read(at: number): number {
    const since = at - this.#from
    return since >= 0 && since < SECOND_MS ? since | 0 : this.#begin(at)
  }

  #begin(at: number): number {
    const wall = Math.floor(this.#clocks.clock() - (this.#clocks.now() - at))
    const ms = wall % SECOND_MS
    this.#from = Math.floor(at) - ms
    this.second = Buffer.from(this.#prefix + new Date(wall - ms).toISOString().slice(0, -4), 'latin1')
    return ms
  }
}
