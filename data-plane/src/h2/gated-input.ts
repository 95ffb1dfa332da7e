/** Hands on what an HTTP/2 stream receives while it is open, and keeps the rest. */
import type { Http2Stream } from 'node:http2'
import { ByteQueue } from '@postern/protocol/socket'
import type { Subscribe } from './contained-events.ts'

export interface GatedInputOptions {
  readonly stream: Http2Stream
  /** Subscribes to an event of the stream. */
  readonly on: Subscribe
  /** May pause the input. */
  data(chunk: Buffer): void
  /** The end, behind all of `data`. */
  end(): void
  /** So many bytes more wait than before. It must not throw. */
  waits?(bytes: number): void
}

const NOTHING = Buffer.alloc(0)

/**
 * Paused at first. What waits is copied: `node:http2` hands out each DATA frame as a part of the read that it came in, of up to 64 KiB. A peer that puts
 * single bytes of a paused stream between large frames of another one would fill the memory with all that it sends. The window of the stream is credited
 * when all that waited is handed on.
 */
export class GatedInput {
  readonly #stream: Http2Stream
  readonly #on: Subscribe
  readonly #data: (chunk: Buffer) => void
  readonly #end: () => void
  /** As the stream has it: `node:http2` calls it with all that it receives. */
  readonly #push: Http2Stream['push']
  readonly #waiting = new ByteQueue()
  #open = false
  #subscribed = false
  #handingOn = false
  /** The stream was not given what it has asked for. */
  #withheld = false
  /** The end has come, and waits behind the bytes: the stream has yet to get it, or has already said so. */
  #ended: 'no' | 'withheld' | 'waits' = 'no'

  constructor({ stream, on, data, end, waits }: GatedInputOptions) {
    this.#stream = stream
    this.#on = on
    this.#data = data
    this.#end = end
    this.#push = stream.push.bind(stream)
    stream.push = (chunk: Buffer | null): boolean => {
      if (stream.readableFlowing || stream.destroyed) return this.#push(chunk)
      if (chunk === null) return this.#pushEnd()
      this.#withheld = true
      this.#waiting.append(chunk)
      waits?.(chunk.length)
      return false
    }
    on('end', () => {
      if (this.#waiting.length > 0) this.#ended = 'waits'
      else end()
    })
    if (stream.readableLength > 0) waits?.(this.#takeFirst())
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#waiting.length
  }

  pause(): void {
    this.#open = false
    // A stream that was never read is let go by `node:http2` when its peer takes it back, but not one that was paused.
    if (!this.#subscribed) return
    this.#stream.pause()
    // What came between a resume and the turn in which it takes effect.
    if (this.#stream.readableLength > 0) this.#stream.read()
  }

  /** Hands on what waits, and what follows. */
  resume(): void {
    this.#open = true
    if (this.#handingOn) return
    this.#handingOn = true
    const pieces = this.#waiting.takePieces()
    let handedOn = 0
    try {
      while (this.#open && handedOn < pieces.length) this.#data(pieces[handedOn++]!)
    } finally {
      this.#handingOn = false
      this.#waiting.prepend(pieces.slice(handedOn))
    }
    if (this.#open) this.#flow()
  }

  #flow(): void {
    if (this.#withheld) {
      this.#withheld = false
      // The stream asks again.
      this.#push(NOTHING)
    }
    if (!this.#subscribed) {
      this.#subscribed = true
      this.#on('data', (chunk: Buffer) => (this.#open ? this.#data(chunk) : this.#waiting.append(chunk)))
    }
    this.#stream.resume()
    const ended = this.#ended
    this.#ended = 'no'
    if (ended === 'waits') return this.#end()
    if (ended === 'no') return
    this.#push(null)
    this.#stream.read(0)
  }

  /** Takes what came with the head, which is in the stream already, and answers its length. It does not ask for more: that would credit the window. */
  #takeFirst(): number {
    const stream = this.#stream
    const read = stream._read
    stream._read = () => {}
    this.#waiting.append(stream.read() as Buffer)
    stream._read = read
    this.#withheld = true
    return this.#waiting.length
  }

  #pushEnd(): boolean {
    // What an aborted stream has received is of no use to anybody.
    if (this.#waiting.length > 0 && !this.#stream.aborted) {
      this.#ended = 'withheld'
      return false
    }
    this.#waiting.takePieces()
    return this.#push(null)
  }
}
