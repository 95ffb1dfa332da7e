/** How many frames without payload a peer may send: a steady rate, and as many as the data of both sides justifies. */
import { CONTROL_FRAMES_PER_SECOND } from '../limits.ts'

/** What a burst of data may have justified and not yet used up: window updates that arrive late. */
const MOST_EARNED = 64 * 1024

export class ControlAllowance {
  #frames = CONTROL_FRAMES_PER_SECOND
  #refilledAt: number

  constructor(now: number) {
    this.#refilledAt = now
  }

  /** A frame with payload went either way: it may be credited, acknowledged, ended or reset by one without. */
  earn(): void {
    if (this.#frames < MOST_EARNED) this.#frames++
  }

  /** One frame without payload came. False: the peer floods. The clock is read only when the allowance is used up. */
  spend(now: () => number): boolean {
    if (--this.#frames >= 0) return true
    const time = now()
    const refill = Math.floor(((time - this.#refilledAt) * CONTROL_FRAMES_PER_SECOND) / 1000)
    if (refill < 1) return false
    this.#refilledAt = time
    this.#frames = Math.min(refill, CONTROL_FRAMES_PER_SECOND) - 1
    return true
  }
}
