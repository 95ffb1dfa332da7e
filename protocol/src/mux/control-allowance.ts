/** How many frames without payload a peer may send: as many as answer frames of ours, and a steady rate of others. Each is charged once. */
import { CONTROL_FRAMES_PER_SECOND, EARNED_ANSWERS } from '../limits.ts'

export class ControlAllowance {
  /** Answers that frames of ours justify and that have not come yet. */
  #answers = 0
  #others = CONTROL_FRAMES_PER_SECOND
  #refilledAt: number

  constructor(now: number) {
    this.#refilledAt = now
  }

  /** A frame of ours left, or a stream was opened, that the peer answers by so many frames at most. */
  earn(answers: number): void {
    if (this.#answers < EARNED_ANSWERS) this.#answers += answers
  }

  /** A frame came that answers one of ours, or else counts as any other. False: the peer floods. */
  spendAnswer(now: () => number): boolean {
    if (this.#answers === 0) return this.spend(now)
    this.#answers--
    return true
  }

  /** A frame came that nothing of ours asked for. False: the peer floods. The clock is read only when the allowance is used up. */
  spend(now: () => number): boolean {
    if (--this.#others >= 0) return true
    const time = now()
    const refill = Math.floor(((time - this.#refilledAt) * CONTROL_FRAMES_PER_SECOND) / 1000)
    if (refill < 1) return false
    this.#refilledAt = time
    this.#others = Math.min(refill, CONTROL_FRAMES_PER_SECOND) - 1
    return true
  }
}
