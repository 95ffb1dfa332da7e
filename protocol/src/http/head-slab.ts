/** The memory that heads are written into and handed out from, never written twice. Knows nothing of HTTP but its line end. */

/**
 * Serves about 150 small exchanges, and is what one slow reader of a head keeps at most. A head that does not fit into
 * what is left moves on to the next one.
 */
const SLAB_BYTES = 64 * 1024

/** Up to this many bytes a loop is cheaper than a part of a buffer made to be copied, or than the call into native code. */
const SHORT_SPAN_BYTES = 64
/** The same of a buffer that is copied whole, by a builtin. */
const SHORT_BUFFER_BYTES = 24

export class HeadSlab {
  #buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  /** Where the head that is being written begins, and where it goes on. */
  #start = 0
  #at = 0

  begin(): void {
    this.#start = this.#at
  }

  /** Appends the bytes of `source` in [from, to). */
  span(source: Buffer, from: number, to: number): void {
    const length = to - from
    if (length <= 0) return
    this.#reserve(length)
    const target = this.#buffer
    if (length > SHORT_SPAN_BYTES) source.copy(target, this.#at, from, to)
    else for (let i = 0, at = this.#at; i < length; i++) target[at + i] = source[from + i]!
    this.#at += length
  }

  /** Appends all of `bytes`. */
  bytes(bytes: Buffer): void {
    const { length } = bytes
    if (length <= SHORT_BUFFER_BYTES) return this.span(bytes, 0, length)
    this.#reserve(length)
    this.#buffer.set(bytes, this.#at)
    this.#at += length
  }

  /** Appends text of code points up to 255, one byte each. What is made of pieces is written piece by piece: joining them costs as much again. */
  text(text: string): void {
    const { length } = text
    this.#reserve(length)
    const target = this.#buffer
    if (length > SHORT_SPAN_BYTES) target.write(text, this.#at, 'latin1')
    else for (let i = 0, at = this.#at; i < length; i++) target[at + i] = text.charCodeAt(i)
    this.#at += length
  }

  /** What was written since `begin`; it is the caller's, and never written again. */
  take(): Buffer {
    return this.#buffer.subarray(this.#start, this.#at)
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#buffer.length) return
    const written = this.#at - this.#start
    const next = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, 2 * (written + length)))
    this.#buffer.copy(next, 0, this.#start, this.#at)
    this.#buffer = next
    this.#start = 0
    this.#at = written
  }
}
