/** Chance that can be repeated: the same seed gives the same experiment. Knows nothing of what it decides. */

/** mulberry32, whose 2³² states are plenty for choosing cases. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 32 random bits. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let bits = this.#state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return (bits ^ (bits >>> 14)) >>> 0
  }

  /** A uniform number in [0, 1). */
  next(): number {
    return this.bits() / 2 ** 32
  }

  /** An integer from 0 up to, and without, `bound`. */
  below(bound: number): number {
    return this.bits() % bound
  }

  /** An integer in [from, to). */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from))
  }

  /** True once in `often` times. */
  once(often: number): boolean {
    return this.below(often) === 0
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i += 1) bytes[i] = this.integer(0, 256)
    return bytes
  }
}
