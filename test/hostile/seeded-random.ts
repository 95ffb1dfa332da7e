/** Chance that can be repeated: the same seed gives the same experiment. Knows nothing of what it decides. */

/** A sequence of uniform numbers in [0, 1): mulberry32, whose 2³² states are plenty for choosing cases. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer in [from, to). */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from))
  }

  pick<T>(among: readonly T[]): T {
    return among[this.integer(0, among.length)]!
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i += 1) bytes[i] = this.integer(0, 256)
    return bytes
  }
}
