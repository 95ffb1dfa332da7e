/** The time of day of monotonic instants, as ISO 8601 in UTC with milliseconds. Knows nothing of what happened then. */

export interface Clocks {
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

const SECOND_MS = 1000
const MILLISECONDS = Array.from({ length: SECOND_MS }, (_, ms) => `${String(ms).padStart(3, '0')}Z`)

/** For instants that come nearly in order: the text of a second is made once, and only then is the time of day asked for. */
export class LineClock {
  readonly #clocks: Clocks
  /** `2026-11-27T00:25:11.`, for the second that begins at `#from`. */
  #second = ''
  #from = Infinity

  constructor(clocks: Clocks) {
    this.#clocks = clocks
  }

  /** `2026-11-27T00:25:11.042Z`. @param at what `now` said */
  text(at: number): string {
    let ms = (at - this.#from) | 0
    if (!(at >= this.#from && ms < SECOND_MS)) ms = this.#begin(at)
    return this.#second + MILLISECONDS[ms]!
  }

  /** Makes the second around `at` the known one; answers what of it has passed. */
  #begin(at: number): number {
    const wall = Math.floor(this.#clocks.clock() - (this.#clocks.now() - at))
    const ms = wall % SECOND_MS
    this.#from = Math.floor(at) - ms
    this.#second = new Date(wall - ms).toISOString().slice(0, -4)
    return ms
  }
}
