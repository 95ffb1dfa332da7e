/** Gathers the frames of one flush into as few pieces of memory as is cheap. Knows nothing of turns, windows or sockets. */
import { HEADER_BYTES, writeHeader } from './frame.ts'

/** Small enough that a slow socket which keeps a piece of it keeps little else, large enough to serve about 100 small requests. */
const SLAB_BYTES = 32 * 1024
/** Up to here one copy is cheaper than one more piece in the write. */
export const COPY_BYTES = 4 * 1024

/**
 * The slab at hand, shared by all channels of the process as Node's own Buffer pool is: one per channel would cost 5,000 idle
 * tunnels 160 MB. A part that was handed out is never written again.
 */
let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
let used = 0

/** `begin`, then headers and payloads in order, then `finish`, without anything else in between. */
export class Output {
  #pieces: Buffer[] = []
  /** Where in the slab the piece that is being filled starts. */
  #start = 0

  begin(): void {
    this.#start = used
  }

  header(type: number, flags: number, id: number, length: number): void {
    if (used + HEADER_BYTES > SLAB_BYTES) this.#turnSlab()
    used = writeHeader(slab, used, type, flags, id, length)
  }

  payload(chunk: Buffer, from: number, to: number): void {
    const bytes = to - from
    if (bytes <= COPY_BYTES) {
      if (used + bytes > SLAB_BYTES) this.#turnSlab()
      used += chunk.copy(slab, used, from, to)
      return
    }
    this.#closePiece()
    this.#pieces.push(bytes === chunk.length ? chunk : chunk.subarray(from, to))
  }

  /** The pieces, in order; a fresh array, so that an idle channel keeps nothing of its last flush. */
  finish(): Buffer[] {
    this.#closePiece()
    const pieces = this.#pieces
    this.#pieces = []
    return pieces
  }

  #closePiece(): void {
    if (used > this.#start) this.#pieces.push(slab.subarray(this.#start, used))
    this.#start = used
  }

  #turnSlab(): void {
    this.#closePiece()
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#start = used = 0
  }
}
