/**
 * Says of almost every place of a long text that none of many short pieces stands there, without cutting the text up: a rolling
 * hash (Rabin and Karp) over a bit for each hash value. Knows nothing of what the pieces are.
 */

/** Odd, and with its bits well mixed: the prime of FNV-1a. */
const BASE = 0x01000193
/** 4 million bits: with 100,000 pieces, 2 places of 100 are looked at in vain. */
const BITS = 22

export class PieceFilter {
  readonly #length: number
  /** What the character that leaves the window still counts for. */
  readonly #oldest: number
  readonly #bits = new Uint8Array(2 ** (BITS - 3))

  /** @param length of every piece */
  constructor(length: number) {
    this.#length = length
    this.#oldest = Array.from({ length }).reduce<number>((power) => Math.imul(power, BASE), 1)
  }

  add(piece: string): void {
    let hash = 0
    for (let at = 0; at < this.#length; at += 1) hash = (Math.imul(hash, BASE) + piece.charCodeAt(at)) | 0
    const bit = hash >>> (32 - BITS)
    this.#bits[bit >>> 3]! |= 1 << (bit & 7)
  }

  /** Where in `text` one of the pieces may begin, in order; everywhere else none does. */
  *candidates(text: string): Iterable<number> {
    let hash = 0
    for (let at = 0; at < text.length; at += 1) {
      const leaves = at < this.#length ? 0 : Math.imul(this.#oldest, text.charCodeAt(at - this.#length))
      hash = (Math.imul(hash, BASE) + text.charCodeAt(at) - leaves) | 0
      const bit = hash >>> (32 - BITS)
      if ((this.#bits[bit >>> 3]! & (1 << (bit & 7))) !== 0 && at + 1 >= this.#length) yield at + 1 - this.#length
    }
  }
}
