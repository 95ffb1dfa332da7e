/** What a peer may send on one stream, what of it has come, and when it may send more. Knows nothing of frames. */
import { HELD_PIECE_BYTES, HELD_PIECES_PER_STREAM, INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from '../limits.ts'
import type { WindowBudget } from './window-budget.ts'

/**
 * At every moment `size = available + unconsumed + owed`: what the peer may still send, what the reader holds, and what
 * the reader has passed on without the peer having been told.
 */
export class ReceiveWindow {
  size = INITIAL_WINDOW_BYTES
  available = INITIAL_WINDOW_BYTES
  unconsumed = 0
  /** Pieces the reader holds; after a partial `consume` an estimate in proportion to the bytes. */
  pieces = 0
  /** When the reader last moved something, or began to hold; monotonic ms, meaningful while `unconsumed > 0`. */
  heldSince = 0
  readonly #budget: WindowBudget
  #owed = 0
  #grown = 0
  /** Since when the bytes now owed have been arriving. */
  #epoch = 0

  constructor(budget: WindowBudget) {
    this.#budget = budget
  }

  /** Memory held by a reader that has not moved on, in bytes. */
  get held(): number {
    return this.unconsumed + this.pieces * HELD_PIECE_BYTES
  }

  /** Whether keeping the pieces costs more than the window promises to bound. */
  get shredded(): boolean {
    return this.pieces > HELD_PIECES_PER_STREAM && this.pieces * HELD_PIECE_BYTES > this.unconsumed
  }

  /** A frame's length is judged when its header is read. False: the peer overruns its window. */
  arrive(length: number, now: number): boolean {
    if (length > this.available) return false
    if (this.available === this.size) this.#epoch = now
    this.available -= length
    return true
  }

  /** `bytes` of an announced frame are handed to the reader. */
  deliver(bytes: number, now: number): void {
    if (this.unconsumed === 0) this.heldSince = now
    this.unconsumed += bytes
    this.pieces++
  }

  /** The reader has passed `bytes` on; more than it holds counts as all. Returns whether it still holds something. */
  consume(bytes: number): boolean {
    const moved = Math.min(bytes, this.unconsumed)
    this.#owed += moved
    this.unconsumed -= moved
    if (this.unconsumed === 0) this.pieces = 0
    else this.pieces = Math.ceil((this.pieces * this.unconsumed) / (this.unconsumed + moved))
    return this.unconsumed > 0
  }

  /** Half a window at a time: the peer never runs dry on a short path, and a small request costs no update at all. */
  get creditDue(): boolean {
    return this.#owed * 2 >= this.size
  }

  /**
   * What to tell the peer in a window update. The window grows if a whole one would have been consumed in under two round
   * trips, so that it, not the reader, is what limits the flow, and only if the reader holds little of it.
   */
  takeCredit(now: number, roundTripMs: number | undefined): number {
    let credit = this.#owed
    const share = this.#owed / this.size
    const keepsUp = this.unconsumed * 4 <= this.size
    if (roundTripMs !== undefined && keepsUp && now - this.#epoch < 2 * roundTripMs * share) {
      const growth = this.#budget.take(Math.min(this.size, MAX_WINDOW_BYTES - this.size))
      this.#grown += growth
      this.size += growth
      credit += growth
    }
    this.#owed = 0
    this.#epoch = now
    this.available += credit
    return credit
  }

  /** Its reader is gone, with all that it held. */
  abandon(): void {
    this.release()
    this.unconsumed = this.pieces = 0
  }

  /** Nothing further will come: what the window had grown goes back to the budget. Harmless when repeated. */
  release(): void {
    if (this.#grown > 0) this.#budget.giveBack(this.#grown)
    this.#grown = 0
  }
}
