/** Turns channel bytes into headers and pieces of payload, in whatever chunks they come. Knows nothing of streams; keeps no payload. */
import { HEADER_BYTES, VERSION } from './frame.ts'

/** Who judges headers and takes payload. Numbers instead of an object: this runs for every frame of every request. */
export interface FrameSink {
  /** A header, judged before any of its payload is looked at. `length` is the payload's size for Data, an argument for the other types. */
  frame(type: number, flags: number, id: number, length: number): void
  /** `chunk[from…to)` is the next part of the payload that the last Data header announced. */
  payload(chunk: Buffer, from: number, to: number): void
  /** All of the payload of the last Data header has come, which may be none. */
  frameEnd(): void
  /** The bytes are not frames of this version; decoding has stopped. */
  malformed(detail: string): void
}

/** The only frame type that is followed by payload, and the highest that exists. */
const DATA = 0
const LAST_TYPE = 3

export class FrameDecoder {
  readonly #sink: FrameSink
  /** A header that was cut by the end of a chunk; allocated when that first happens. */
  #partial: Buffer | undefined
  #partialBytes = 0
  #payloadLeft = 0
  #stopped = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Nothing further is decoded, not even the rest of the chunk at hand. */
  stop(): void {
    this.#stopped = true
  }

  decode(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#payloadLeft > 0) at = this.#passPayload(chunk, at)
      else if (this.#partialBytes === 0 && chunk.length - at >= HEADER_BYTES) {
        this.#readHeader(chunk, at)
        at += HEADER_BYTES
      } else at = this.#gatherHeader(chunk, at)
    }
  }

  #passPayload(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + this.#payloadLeft)
    this.#payloadLeft -= to - from
    this.#sink.payload(chunk, from, to)
    if (this.#payloadLeft === 0 && !this.#stopped) this.#sink.frameEnd()
    return to
  }

  #gatherHeader(chunk: Buffer, from: number): number {
    this.#partial ??= Buffer.allocUnsafeSlow(HEADER_BYTES)
    const copied = chunk.copy(this.#partial, this.#partialBytes, from, from + HEADER_BYTES - this.#partialBytes)
    this.#partialBytes += copied
    if (this.#partialBytes === HEADER_BYTES) {
      this.#partialBytes = 0
      this.#readHeader(this.#partial, 0)
    }
    return from + copied
  }

  #readHeader(bytes: Buffer, at: number): void {
    const type = bytes[at + 1]!
    if (bytes[at] !== VERSION) return this.#refuse(`version ${bytes[at]} instead of ${VERSION}`)
    if (type > LAST_TYPE) return this.#refuse(`frame type ${type}`)
    const length = bytes.readUInt32BE(at + 8)
    if (type === DATA) this.#payloadLeft = length
    this.#sink.frame(type, bytes.readUInt16BE(at + 2), bytes.readUInt32BE(at + 4), length)
    if (type === DATA && length === 0 && !this.#stopped) this.#sink.frameEnd()
  }

  #refuse(detail: string): void {
    this.#stopped = true
    this.#sink.malformed(detail)
  }
}
