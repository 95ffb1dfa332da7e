/** Bytes a stream's writer has handed over and that have not left yet. Knows nothing of windows or frames. */
import type { Output } from './output.ts'

export class SendQueue {
  bytes = 0
  readonly #chunks: Buffer[] = []
  /** The first chunk not yet gone, and how much of it is. */
  #head = 0
  #offset = 0

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.bytes += chunk.length
  }

  /** Moves exactly `count` bytes (at most `bytes`) to the output, as the payload of the header just written. */
  moveTo(output: Output, count: number): void {
    this.bytes -= count
    while (count > 0) {
      const chunk = this.#chunks[this.#head]!
      const to = Math.min(chunk.length, this.#offset + count)
      output.payload(chunk, this.#offset, to)
      count -= to - this.#offset
      this.#offset = to
      if (to === chunk.length) this.#next()
    }
  }

  clear(): void {
    this.#chunks.length = 0
    this.#head = this.#offset = this.bytes = 0
  }

  #next(): void {
    this.#offset = 0
    this.#head++
    if (this.#head === this.#chunks.length) {
      // Mostly one: to take it out is cheaper than to set the length.
      while (this.#chunks.pop() !== undefined) {}
      this.#head = 0
    } else if (this.#head >= 64) {
      this.#chunks.splice(0, this.#head)
      this.#head = 0
    }
  }
}
