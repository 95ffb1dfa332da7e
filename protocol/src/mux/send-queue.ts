/** Bytes a stream's writer has handed over and that have not left yet. */
import { HELD_PIECE_BYTES } from '../limits.ts'
import { Fifo } from './fifo.ts'
import { COPY_BYTES, type Output } from './output.ts'

/** So many pieces wait as they came, which costs nothing. Behind them small ones are copied together: each would cost more than its bytes. */
const PIECES_AS_THEY_CAME = 3
/** Twice what is copied, so that at most half of a slab is left empty. */
const SLAB_BYTES = 2 * COPY_BYTES

export class SendQueue {
  bytes = 0
  /** What leaves next, from this offset on. Mostly it is all there is, so it needs no place in a list. */
  #first: Buffer | undefined
  #offset = 0
  readonly #behind = new Fifo<Buffer>()
  /** The last chunk, if small pieces are copied into it, and how much of it is filled. */
  #slab: Buffer | undefined
  #slabUsed = 0

  /** Pieces of memory that it keeps. */
  get pieces(): number {
    return this.#behind.length + (this.#first === undefined ? 0 : 1)
  }

  /** Memory that it keeps, in bytes. */
  get held(): number {
    return this.bytes + this.pieces * HELD_PIECE_BYTES
  }

  /** @param chunk of one byte at least */
  push(chunk: Buffer): void {
    this.bytes += chunk.length
    if (this.#first === undefined) this.#first = chunk
    else this.#pushBehind(chunk)
  }

  /** Moves exactly `count` bytes (at least one, at most `bytes`) to the output, as the payload of the header just written. */
  moveTo(output: Output, count: number): void {
    this.bytes -= count
    let chunk = this.#first!
    let from = this.#offset
    let left = count
    while (left >= chunk.length - from) {
      output.payload(chunk, from, chunk.length)
      left -= chunk.length - from
      from = 0
      const following = this.#takeNext()
      this.#first = following
      if (following === undefined) break
      chunk = following
    }
    if (left > 0) {
      output.payload(chunk, from, from + left)
      from += left
    }
    this.#offset = from
  }

  clear(): void {
    this.#first = this.#slab = undefined
    this.#behind.clear()
    this.#offset = this.bytes = 0
  }

  #pushBehind(chunk: Buffer): void {
    if (chunk.length <= COPY_BYTES && this.#behind.length >= PIECES_AS_THEY_CAME) return this.#copy(chunk)
    this.#closeSlab()
    this.#behind.push(chunk)
  }

  #copy(chunk: Buffer): void {
    if (this.#slab === undefined || this.#slabUsed + chunk.length > SLAB_BYTES) {
      this.#closeSlab()
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabUsed = 0
      this.#behind.push(this.#slab)
    }
    this.#slabUsed += chunk.copy(this.#slab, this.#slabUsed)
  }

  /** Nothing further goes into the slab: it is as long as it is filled. */
  #closeSlab(): void {
    if (this.#slab === undefined) return
    this.#behind.replaceLast(this.#slab.subarray(0, this.#slabUsed))
    this.#slab = undefined
  }

  #takeNext(): Buffer | undefined {
    if (this.#behind.length === 1) this.#closeSlab()
    const chunk = this.#behind.first
    this.#behind.drop()
    return chunk
  }
}
