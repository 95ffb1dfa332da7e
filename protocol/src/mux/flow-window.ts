/** What a peer may send on one stream, what of it has come, and when it may send more. */
import {
  HELD_PIECE_BYTES,
  HELD_PIECES_PER_STREAM,
  INITIAL_WINDOW_BYTES,
  MAX_WINDOW_BYTES,
  WINDOW_REST_MS,
} from '../limits.ts'
import type { GrowingWindow, WindowShare } from './window-budget.ts'

/**
 * At every moment `size = available + unconsumed + owed`: what the peer may still send, what the reader holds, and what
 * the reader has passed on without the peer having been told. The size is the initial one, and `grown`, and `resting`.
 */
export class ReceiveWindow implements GrowingWindow {
  size = INITIAL_WINDOW_BYTES
  available = INITIAL_WINDOW_BYTES
  unconsumed = 0
  /** Pieces the reader holds; after a partial `consume` an estimate in proportion to the bytes. */
  pieces = 0
  /** When the reader last moved something, or began to hold; monotonic ms, meaningful while `unconsumed > 0`. */
  heldSince = 0
  /** Bytes of growth that count in the budget. */
  grown = 0
  readonly #share: WindowShare
  /** Bytes of growth that do not count any more and are still promised. */
  #resting = 0
  /** Bytes of growth that others want. */
  #askedBack = 0
  /** From when on a window without credit rests; monotonic ms, meaningful while it has grown. */
  #restsFrom = 0
  #owed = 0
  /** Since when the bytes now owed have been arriving. */
  #epoch = 0

  constructor(share: WindowShare) {
    this.#share = share
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
   * What to tell the peer in a window update; 0: nothing. The window grows if a whole one would have been consumed in under two round
   * trips, so that it, not the reader, is what limits the flow, and only if the reader holds little of it. Growth that rests, or that others want, is not
   * credited again: the specification has no other way to take a promise back.
   */
  takeCredit(now: number, roundTripMs: number | undefined): number {
    const share = this.#owed / this.size
    const keepsUp = this.unconsumed * 4 <= this.size
    const limits = roundTripMs !== undefined && keepsUp && now - this.#epoch < 2 * roundTripMs * share
    this.#restsFrom = now + Math.max(WINDOW_REST_MS, 4 * (roundTripMs ?? 0))
    if (this.#resting > 0) this.#wake(limits, now)
    if (this.#askedBack > 0) this.#return()
    else if (limits) this.#grow(now)
    const credit = this.#owed
    this.#owed = 0
    this.#epoch = now
    this.available += credit
    return credit
  }

  restsAt(now: number): boolean {
    return now > this.#restsFrom
  }

  rest(): void {
    const { grown } = this
    this.#share.rest(this, grown)
    this.grown = 0
    this.#resting += grown
    this.#withhold()
  }

  askBack(bytes: number): void {
    this.#askedBack = Math.max(this.#askedBack, bytes)
  }

  /** Its reader is gone, with all that it held. */
  abandon(): void {
    this.release()
    this.unconsumed = this.pieces = 0
  }

  /** Nothing further will come: what the window had grown goes back to the budget. Harmless when repeated. */
  release(): void {
    if (this.grown + this.#resting > 0) this.#share.giveBack(this, this.grown, this.#resting)
    this.grown = this.#resting = 0
  }

  /** A flow that its window limits again has its growth back, as far as the budget has it. */
  #wake(limits: boolean, now: number): void {
    const granted = limits ? this.#share.take(this, this.#resting, now) : 0
    if (granted > 0) {
      this.grown += granted
      this.#resting -= granted
      this.#share.giveBack(this, 0, granted)
    }
    this.#withhold()
  }

  /** What its reader has passed on and the peer does not know of is promised no longer, as far as growth rests. */
  #withhold(): void {
    const withheld = Math.min(this.#owed, this.#resting)
    if (withheld === 0) return
    this.#share.giveBack(this, 0, withheld)
    this.#resting -= withheld
    this.#shrink(withheld)
  }

  #return(): void {
    const returned = Math.min(this.#askedBack, this.grown, this.#owed)
    this.#askedBack = 0
    this.#share.giveBack(this, returned, 0)
    this.grown -= returned
    this.#shrink(returned)
  }

  #shrink(bytes: number): void {
    this.#owed -= bytes
    this.size -= bytes
  }

  #grow(now: number): void {
    const growth = this.#share.take(this, Math.min(this.size, MAX_WINDOW_BYTES - this.size), now)
    this.grown += growth
    this.size += growth
    this.#owed += growth
  }
}
