/** Keeps what all channels hold together within the memory of the process. Knows nothing of what is held. */
import { type Holder, judgeHeld } from '@postern/protocol/mux'

/** A channel that can be told to give way. */
export interface Yielding extends Holder {
  refusing: boolean
  /** False if none of its streams holds anything. */
  resetLongestStalled(): boolean
}

export interface MemoryGuardOptions<H extends Yielding> {
  /** All channels of the process. */
  holders(): Iterable<H>
  readonly memoryLimit: number
  /** A stream of this channel was reset for want of memory. */
  reset(holder: H): void
}

export class MemoryGuard<H extends Yielding> {
  readonly #options: MemoryGuardOptions<H>
  #refused: H | undefined

  constructor(options: MemoryGuardOptions<H>) {
    this.#options = options
  }

  /**
   * Above half of the limit the channel that holds most, of the tenant who holds most, gets no new streams; above three quarters its
   * longest-stalled stream is reset, until that is enough. A channel that no longer holds most may open streams again.
   */
  check(): void {
    const { holders, memoryLimit, reset } = this.#options
    for (;;) {
      const verdict = judgeHeld(holders(), memoryLimit)
      this.#refuseOnly(verdict.kind === 'calm' ? undefined : verdict.holder)
      if (verdict.kind !== 'reset' || !verdict.holder.resetLongestStalled()) return
      reset(verdict.holder)
    }
  }

  #refuseOnly(holder: H | undefined): void {
    if (this.#refused === holder) return
    if (this.#refused !== undefined) this.#refused.refusing = false
    if (holder !== undefined) holder.refusing = true
    this.#refused = holder
  }
}
