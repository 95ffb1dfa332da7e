/** Bytes that wait for their reader, in few pieces of memory: many small ones would cost more than their bytes. */

/** Up to here pieces are copied together. */
const SMALL_BYTES = 4 * 1024
/** Twice that. */
const SLAB_BYTES = 2 * SMALL_BYTES

export class ByteQueue {
  length = 0
  #pieces: Buffer[] = []
  /** The last piece, if small ones are copied into it, and how much of it is filled. */
  #slab: Buffer | undefined
  #slabUsed = 0

  /** Pieces of memory that it keeps. */
  get pieces(): number {
    return this.#pieces.length
  }

  /** Behind what is there. The queue owns the piece from then on. */
  append(piece: Buffer): void {
    this.length += piece.length
    if (piece.length <= SMALL_BYTES && this.#pieces.length > 0) return this.#copy(piece)
    this.#closeSlab()
    this.#pieces.push(ofItsOwn(piece))
  }

  /** Before what is there. */
  prepend(pieces: readonly Buffer[]): void {
    if (pieces.length === 0) return
    this.#closeSlab()
    for (const { length } of pieces) this.length += length
    this.#pieces.unshift(...pieces)
  }

  /** All of it, in one piece, which is then no longer here. */
  take(): Buffer | undefined {
    const pieces = this.takePieces()
    return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
  }

  /** As `take`, as it lies here; with `most`, pieces of so many bytes together, or the first one if it is larger. */
  takePieces(most = Infinity): Buffer[] {
    this.#closeSlab()
    let count = 0
    let bytes = 0
    for (const { length } of this.#pieces) {
      if (count > 0 && bytes + length > most) break
      bytes += length
      count++
    }
    this.length -= bytes
    return this.#pieces.splice(0, count)
  }

  #copy(piece: Buffer): void {
    if (this.#slab === undefined || this.#slabUsed + piece.length > SLAB_BYTES) {
      this.#closeSlab()
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#slabUsed = 0
      this.#pieces.push(this.#slab)
    }
    this.#slabUsed += piece.copy(this.#slab, this.#slabUsed)
  }

  #closeSlab(): void {
    if (this.#slab === undefined) return
    this.#pieces[this.#pieces.length - 1] = ofItsOwn(this.#slab.subarray(0, this.#slabUsed))
    this.#slab = undefined
  }
}

/** A part of a larger memory is copied, or it would keep all of that: an eighth more than its bytes is cheaper than the copy. */
function ofItsOwn(piece: Buffer): Buffer {
  if (piece.length * 8 >= piece.buffer.byteLength * 7) return piece
  const copy = Buffer.allocUnsafeSlow(piece.length)
  piece.copy(copy)
  return copy
}
