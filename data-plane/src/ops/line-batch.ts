/** Lines that go out in one write, byte by byte as they are made. Knows nothing of what they say. */
import { LINE_BATCH_BYTES } from '@postern/protocol/limits'

/** Up to this many bytes a loop is cheaper than the call. */
const SHORT_BYTES = 16
const SPACE = 0x20
const DELETE = 0x7f
const QUOTE = 0x22
const BACKSLASH = 0x5c
const ZERO = 0x30
const DOT = 0x2e
const LINE_FEED = 0x0a

/**
 * Written by hand, because a string made of many pieces costs three times as much to copy as to make. Whoever writes has asked for the room: nothing is
 * checked again.
 */
export class LineBatch {
  readonly #buffer = Buffer.allocUnsafeSlow(LINE_BATCH_BYTES)
  lines = 0
  #at = 0

  get room(): number {
    return LINE_BATCH_BYTES - this.#at
  }

  get empty(): boolean {
    return this.#at === 0
  }

  get length(): number {
    return this.#at
  }

  /** What was written; good until `clear`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  clear(): void {
    this.#at = 0
    this.lines = 0
  }

  copy(bytes: Uint8Array): void {
    const { length } = bytes
    const buffer = this.#buffer
    const at = this.#at
    if (length > SHORT_BYTES) buffer.set(bytes, at)
    else for (let i = 0; i < length; i++) buffer[at + i] = bytes[i]!
    this.#at = at + length
  }

  /** The first `length` characters of `text`, which are ASCII. */
  text(text: string, length = text.length): void {
    const buffer = this.#buffer
    const at = this.#at
    for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
    this.#at = at + length
  }

  /**
   * Visible ASCII in [from, to) of `source`, up to `stop`, as it stands between the quotes of a JSON string. False, and nothing is written, if there is
   * anything else in it.
   */
  visible(source: Uint8Array, from: number, to: number, stop: number): boolean {
    const buffer = this.#buffer
    let at = this.#at
    for (let i = from; i < to; i++) {
      const byte = source[i]!
      if (byte === stop) break
      if (byte <= SPACE || byte >= DELETE) return false
      if (byte === QUOTE || byte === BACKSLASH) buffer[at++] = BACKSLASH
      buffer[at++] = byte
    }
    this.#at = at
    return true
  }

  byte(byte: number): void {
    this.#buffer[this.#at++] = byte
  }

  /** Below 1000. */
  threeDigits(value: number): void {
    const at = this.#at
    this.#buffer[at] = ZERO + ((value / 100) | 0)
    this.#buffer[at + 1] = ZERO + (((value / 10) | 0) % 10)
    this.#buffer[at + 2] = ZERO + (value % 10)
    this.#at = at + 3
  }

  /** A whole number, not below zero. */
  number(value: number): void {
    if (value < 10) {
      this.#buffer[this.#at++] = ZERO + value
      return
    }
    if (value > 999_999_999) return this.text(String(value))
    const digits = value < 100 ? 2 : value < 1000 ? 3 : value < 10_000 ? 4 : String(value).length
    let rest = value | 0
    this.#at += digits
    for (let at = this.#at - 1; rest > 0; at--) {
      const tens = (rest / 10) | 0
      this.#buffer[at] = ZERO + rest - tens * 10
      rest = tens
    }
  }

  /** Milliseconds to a tenth, as `inTenths` says them. */
  tenths(ms: number): void {
    const tenths = Math.round(ms * 10)
    if (tenths <= 0) return this.number(0)
    const rest = tenths % 10
    this.number((tenths - rest) / 10)
    if (rest === 0) return
    this.#buffer[this.#at++] = DOT
    this.#buffer[this.#at++] = ZERO + rest
  }

  /** The line is whole. */
  end(): void {
    this.#buffer[this.#at++] = LINE_FEED
    this.lines += 1
  }
}
