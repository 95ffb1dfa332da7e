/** Bytes that were read from a visitor before they were wanted: the next pipelined request, or what waits for an upgrade. */
import { HeadCarry } from '@postern/protocol/http'

export class InboundBuffer {
  /** What there is, while it is one piece. */
  #piece: Buffer | undefined
  /** Otherwise all of it: it grows by doubling, so that a visitor that sends single bytes costs neither time nor memory beyond them. */
  #joined: HeadCarry | undefined

  get length(): number {
    return this.#joined?.length ?? this.#piece?.length ?? 0
  }

  /** Behind what is there. */
  append(chunk: Buffer): void {
    if (this.#joined !== undefined) this.#joined.append(chunk, 0, chunk.length)
    else if (this.#piece === undefined) this.#piece = chunk
    else this.#join([this.#piece, chunk])
  }

  /** Before what is there. */
  prepend(pieces: readonly Buffer[]): void {
    const rest = this.take()
    const all = rest === undefined ? pieces : [...pieces, rest]
    if (all.length > 1) this.#join(all)
    else this.#piece = all[0]
  }

  /** All of it, which is then no longer here. */
  take(): Buffer | undefined {
    const bytes = this.#joined?.buffer.subarray(0, this.#joined.length) ?? this.#piece
    this.#joined = this.#piece = undefined
    return bytes
  }

  #join(pieces: readonly Buffer[]): void {
    this.#joined = new HeadCarry()
    for (const piece of pieces) this.#joined.append(piece, 0, piece.length)
    this.#piece = undefined
  }
}
