/** Finds where the body of a message ends (RFC 9112 §6). Bodies pass through it untouched, but for the framing of a response that is not in clean form; of a chunked one it keeps the trailers until they have ended. */
import { type Change, ChunkedScan } from './chunked-scan.ts'
import type { BodyFraming } from './framing.ts'
import type { Side } from './rules.ts'

const NOTHING = Buffer.alloc(0)

/** Reusable: one per direction of a connection. */
export class BodyBoundary {
  /** What the latest `advance` read passes on as it is up to this index, and then `takeTail`. */
  passTo = 0
  /** Whether what passes on differs from what was read: then `passed` is a copy. */
  rewritten = false
  /** Another reader could find the end of this response elsewhere, so its connection must not carry another request. */
  odd = false
  #tail: Buffer | undefined
  readonly #side: Side
  #framing: BodyFraming = 'none'
  #left = 0
  /** Made for the first chunked body: most connections never see one. */
  #chunked: ChunkedScan | undefined
  #done = true

  /** `side` decides the code of faults: request-invalid or origin-invalid. */
  constructor(side: Side) {
    this.#side = side
  }

  /** A body begins. `contentLength` counts for `length` alone. */
  start(framing: BodyFraming, contentLength: number): void {
    this.#framing = framing
    this.#left = framing === 'length' ? contentLength : 0
    this.odd = false
    this.#done = framing === 'none' || (framing === 'length' && contentLength === 0)
    if (framing === 'chunked') {
      this.#chunked ??= new ChunkedScan(this.#side)
      this.#chunked.start()
    }
  }

  /** Whether the last byte of the body has passed; never for `close`. */
  get done(): boolean {
    return this.#done
  }

  /** What the latest `advance` read from `from` on and passes on before the tail: mostly as it came. */
  passed(buffer: Buffer, from: number): Buffer {
    const { passTo } = this
    return this.rewritten ? inCleanForm(buffer, from, passTo, this.#chunked!.changes) : buffer.subarray(from, passTo)
  }

  /** Trailers that pass on behind `passTo`: those that came in pieces, or with some that may not stand there. Once. */
  takeTail(): Buffer | undefined {
    const tail = this.#tail
    this.#tail = undefined
    return tail
  }

  /** What was read and passes on only when the trailers have ended. */
  get held(): Buffer {
    return this.#framing === 'chunked' && !this.#done ? this.#chunked!.trailers : NOTHING
  }

  /** Index after the last byte of the body within [from, to), or `to` if it goes on. @throws TunnelFault on bad chunks */
  advance(buffer: Buffer, from: number, to: number): number {
    this.rewritten = false
    if (this.#done) {
      this.passTo = from
      return from
    }
    switch (this.#framing) {
      case 'length': {
        const end = Math.min(to, from + this.#left)
        this.#left -= end - from
        this.#done = this.#left === 0
        this.passTo = end
        return end
      }
      case 'chunked': {
        const scan = this.#chunked!
        const end = scan.advance(buffer, from, to)
        this.#done = scan.done
        this.passTo = scan.passTo
        this.#tail = scan.tail
        this.rewritten = scan.changes.length > 0
        this.odd = scan.odd
        if (this.#done) scan.release()
        return end
      }
      default:
        this.passTo = to
        return to
    }
  }

  /** The connection ended in good order: what that makes of the body (RFC 9112 §8). */
  end(): 'complete' | 'cut' {
    return this.#done || this.#framing === 'close' ? 'complete' : 'cut'
  }
}

function inCleanForm(buffer: Buffer, from: number, to: number, changes: readonly Change[]): Buffer {
  let length = to - from
  for (const change of changes) length += change.put.length - (change.to - change.from)
  const passed = Buffer.allocUnsafe(length)
  let at = from
  let written = 0
  for (const change of changes) {
    written += buffer.copy(passed, written, at, change.from)
    written += change.put.copy(passed, written)
    at = change.to
  }
  buffer.copy(passed, written, at, to)
  return passed
}
