/** What of a head came so far, when it came in pieces. Knows nothing of HTTP. */

const FIRST_BYTES = 1024
/** It grows by so much at most beyond what it must hold. */
const SPARE_BYTES = 64 * 1024
const EMPTY = Buffer.alloc(0)

/** Doubles when full, up to SPARE_BYTES, so that a sender of single bytes costs about O(1) a byte. Whoever appends keeps the limit. */
export class HeadCarry {
  /** Its first `length` bytes are what was appended. */
  buffer: Buffer = EMPTY
  length = 0

  append(chunk: Buffer, from: number, to: number): void {
    const length = this.length + to - from
    if (length > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.max(FIRST_BYTES, this.buffer.length + Math.min(SPARE_BYTES, this.buffer.length), length),
      )
      this.buffer.copy(grown, 0, 0, this.length)
      this.buffer = grown
    }
    chunk.copy(this.buffer, this.length, from, to)
    this.length = length
  }

  /** Forgets the bytes and the memory; a head still reading them keeps its own reference. */
  clear(): void {
    this.buffer = EMPTY
    this.length = 0
  }
}
