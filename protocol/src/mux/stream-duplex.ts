/** A mux stream as a Node `Duplex`, for Node APIs that need one (10 µs each; the hot path does without). */
import { Duplex } from 'node:stream'
import { TunnelFault } from '../fault.ts'
import { Fifo } from './fifo.ts'
import type { ByteStream } from './stream.ts'

type Done = (error?: Error | null) => void

/**
 * Each direction ends by itself: `end()` sends FIN while reading goes on, the peer's FIN ends reading while writing goes on.
 * Bytes go back to the peer's window when they are read, not when they arrive. `destroy` resets the stream unless both directions
 * have ended; a reset destroys the Duplex with its fault. As on the stream, a written buffer must not be changed afterwards.
 */
export function duplexOf(stream: ByteStream): Duplex {
  return new StreamDuplex(stream)
}

class StreamDuplex extends Duplex {
  readonly #stream: ByteStream
  /** What has arrived and not been given to Node's buffer. Bounded by the stream's window. */
  readonly #arrived = new Fifo<Buffer>()
  /** What Node's buffer was given and the peer's window not yet given back. */
  #givenBytes = 0
  #wantsMore = false
  #peerEnded = false
  #endGiven = false
  #ended = false
  #writeDone: Done | undefined

  constructor(stream: ByteStream) {
    // A high-water mark of one byte: Node asks for more only while it hands out all that it was given before.
    super({ allowHalfOpen: true, readableHighWaterMark: 1 })
    this.#stream = stream
    stream.listen({
      data: (chunk) => {
        this.#arrived.push(chunk)
        if (this.#wantsMore) this.#give()
      },
      end: () => {
        this.#peerEnded = true
        if (this.#wantsMore) this.#give()
      },
      reset: (why) => this.destroy(why),
      writable: () => {
        const done = this.#writeDone
        this.#writeDone = undefined
        done?.()
      },
    })
  }

  override _read(): void {
    this.#wantsMore = true
    const read = this.#givenBytes
    this.#givenBytes = 0
    if (read > 0) this.#stream.consume(read)
    this.#give()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#stream.write(chunk)) done()
    else this.#writeDone = done
  }

  override _final(done: Done): void {
    this.#ended = true
    this.#stream.end()
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    // Node destroys a Duplex whose directions have both ended; bytes and FIN may still wait for the peer's window then.
    if (!(this.#endGiven && this.#ended)) this.#stream.reset()
    this.#arrived.clear()
    const writeDone = this.#writeDone
    this.#writeDone = undefined
    done(error)
    writeDone?.(error ?? new TunnelFault('stream-reset', 'destroyed while writing'))
  }

  #give(): void {
    for (let chunk = this.#arrived.first; this.#wantsMore && chunk !== undefined; chunk = this.#arrived.first) {
      this.#arrived.drop()
      this.#givenBytes += chunk.length
      this.#wantsMore = false
      if (this.push(chunk)) this.#wantsMore = true
    }
    if (this.#wantsMore && this.#peerEnded && !this.#endGiven) {
      this.#endGiven = true
      this.push(null)
    }
  }
}
