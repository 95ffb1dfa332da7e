/** What still comes by a stream whose exchange is over: dropped, and given back to its window, until the stream ends. Knows nothing of why. */
import type { ByteStream, StreamListener } from '@postern/protocol/mux'

export class Leftover implements StreamListener {
  readonly #stream: ByteStream

  constructor(stream: ByteStream) {
    this.#stream = stream
  }

  data(chunk: Buffer): void {
    this.#stream.consume(chunk.length)
  }

  end(): void {}

  reset(): void {}

  writable(): void {}
}
