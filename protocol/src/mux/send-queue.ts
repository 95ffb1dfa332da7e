/** Bytes a stream's writer has handed over and that have not left yet. */
import { HELD_PIECE_BYTES } from '../limits.ts'
import { Fifo } from './fifo.ts'
import { COPY_BYTES, type Output } from './output.ts'

/** So many pieces are kept as they came, which costs nothing. Beyond them small ones are copied together: each would cost more than its bytes. */
const PIECES_AS_THEY_CAME = 4
/** Twice what is copied, so that at most half of a slab is left empty. */
const SLAB_BYTES = 2 * COPY_BYTES

export class SendQueue {
  bytes = 0
  readonly #chunks = new Fifo<Buffer>()
  /** How much of the first chunk has gone. */
  #offset = 0
  /** The last chunk, if small pieces are copied into it, and how much of it is filled. */
  #slab: Buffer | undefined
  #slabUsed = 0

  /** Pieces of memory that it keeps. */
  get pieces(): number {
    return this.#chunks.length
  }

  /** Memory that it keeps, in bytes. */
  get held(): number {
    return this.bytes + this.pieces * HELD_PIECE_BYTES
  }

  push(chunk: Buffer): void {
    this.bytes += chunk.length
    if (chunk.length <= COPY_BYTES && this.#chunks.length >= PIECES_AS_THEY_CAME) return this.#copy(chunk)
    if (this.#slab !== undefined) this.#closeSlab(this.#slab)
    this.#chunks.push(chunk)
  }

  /** Moves exactly `count` bytes (at most `bytes`) to the output, as the payload of the header just written. */
  moveTo(output: Output, count: number): void {
    this.bytes -= count
    while (count > 0) {
      const chunk = this.#chunks.first!
      const end = chunk === this.#slab ? this.#slabUsed : chunk.length
      const to = Math.min(end, this.#offset + count)
      output.payload(chunk, this.#offset, to)
      count -= to - this.#offset
      this.#offset = to
      if (to === end) this.#next(chunk)
    }
  }

  clear(): void {
    this.#chunks.clear()
    this.#slab = undefined
    this.#offset = this.bytes = 0
  }

  #copy(chunk: Buffer): void {
    let slab = this.#slab
    if (slab === undefined || this.#slabUsed + chunk.length > SLAB_BYTES) {
      if (slab !== undefined) this.#closeSlab(slab)
      slab = this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabUsed = 0
      this.#chunks.push(slab)
    }
    this.#slabUsed += chunk.copy(slab, this.#slabUsed)
  }

  /** What follows goes behind the slab, which is as long as it is filled from now on. */
  #closeSlab(slab: Buffer): void {
    this.#chunks.replaceLast(slab.subarray(0, this.#slabUsed))
    this.#slab = undefined
  }

  #next(gone: Buffer): void {
    this.#offset = 0
    this.#chunks.drop()
    if (gone === this.#slab) this.#slab = undefined
  }
}
