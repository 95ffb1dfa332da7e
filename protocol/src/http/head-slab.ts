/** The memory that heads are written into before they are copied out once. Knows nothing of HTTP but its line end. */
import { HEAD_BYTES } from '../limits.ts'

/** The largest head there is, rewritten with our own fields, fits; extra lines may make it grow. */
const FIRST_BYTES = HEAD_BYTES + 8 * 1024

/** Below this many bytes a loop is cheaper than the call into native code. */
const SHORT_SPAN_BYTES = 48

export class HeadSlab {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #length = 0

  begin(): void {
    this.#length = 0
  }

  /** Appends the bytes of `source` in [from, to). */
  span(source: Buffer, from: number, to: number): void {
    const length = to - from
    if (length <= 0) return
    this.#reserve(length)
    const target = this.#buffer
    if (length > SHORT_SPAN_BYTES) source.copy(target, this.#length, from, to)
    else for (let i = 0, at = this.#length; i < length; i++) target[at + i] = source[from + i]!
    this.#length += length
  }

  /** Appends text of code points up to 255, one byte each. */
  text(text: string): void {
    this.#reserve(text.length)
    this.#length += this.#buffer.write(text, this.#length, 'latin1')
  }

  /** What was written since `begin`, in memory of its own. */
  take(): Buffer {
    const head = Buffer.allocUnsafe(this.#length)
    this.#buffer.copy(head, 0, 0, this.#length)
    return head
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(2 * (this.#length + length))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}
