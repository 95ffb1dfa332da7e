/** Bytes a stream's writer has handed over and that have not left yet. Knows nothing of windows or frames. */
import { Fifo } from './fifo.ts'
import type { Output } from './output.ts'

export class SendQueue {
  bytes = 0
  readonly #chunks = new Fifo<Buffer>()
  /** How much of the first chunk has gone. */
  #offset = 0

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.bytes += chunk.length
  }

  /** Moves exactly `count` bytes (at most `bytes`) to the output, as the payload of the header just written. */
  moveTo(output: Output, count: number): void {
    this.bytes -= count
    while (count > 0) {
      const chunk = this.#chunks.first!
      const to = Math.min(chunk.length, this.#offset + count)
      output.payload(chunk, this.#offset, to)
      count -= to - this.#offset
      this.#offset = to
      if (to === chunk.length) {
        this.#chunks.drop()
        this.#offset = 0
      }
    }
  }

  clear(): void {
    this.#chunks.clear()
    this.#offset = this.bytes = 0
  }
}
