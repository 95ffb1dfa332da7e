/** Writes to an HTTP/2 stream, one write at a time: what comes meanwhile waits in few pieces of memory. */
import type { Http2Stream } from 'node:http2'
import { ByteQueue } from '@postern/protocol/socket'

/** Of one write, whose parts are not seen to leave. */
const WRITE_BYTES = 64 * 1024

/** `node:http2` would keep some 150 bytes for each piece, and a message in chunks of one byte has very many. */
export class GatheredOutput {
  readonly #stream: Http2Stream
  readonly #taken: () => void
  readonly #waiting = new ByteQueue()
  #ending = false

  /** `taken` follows when all that was written has left for the peer. */
  constructor(stream: Http2Stream, taken: () => void) {
    this.#stream = stream
    this.#taken = taken
  }

  /** Bytes that have not left for the peer. */
  get length(): number {
    return this.#stream.writableLength + this.#waiting.length
  }

  write(piece: Buffer): void {
    if (this.#ending || !this.#stream.writable) return
    if (this.length > 0) this.#waiting.append(piece)
    else this.#stream.write(piece, this.#written)
  }

  /** No more writing. */
  end(): void {
    if (this.#ending || !this.#stream.writable) return
    this.#ending = true
    if (this.#waiting.length === 0) this.#stream.end()
  }

  /** Nothing more is written, and the stream is not ended: it is about to be reset. */
  abandon(): void {
    this.#ending = true
    this.#waiting.take()
  }

  readonly #written = (error?: Error | null): void => {
    if (error || this.#stream.writableLength > 0) return
    if (this.#waiting.length > 0) this.#writeMore()
    else this.#taken()
  }

  #writeMore(): void {
    const stream = this.#stream
    const pieces = this.#waiting.takePieces(WRITE_BYTES)
    if (!stream.writable) return
    stream.cork()
    for (const [at, piece] of pieces.entries()) {
      if (at < pieces.length - 1) stream.write(piece)
      else stream.write(piece, this.#written)
    }
    stream.uncork()
    if (this.#ending && this.#waiting.length === 0) stream.end()
  }
}
