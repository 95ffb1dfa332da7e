/** The Date line of responses, written once a second (RFC 9110 §6.6.1). */

export class DateLine {
  readonly #now: () => number
  #second = Number.NaN
  #bytes = Buffer.alloc(0)

  /** `now`: milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now
  }

  get bytes(): Buffer {
    const second = Math.floor(this.#now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#bytes = Buffer.from(`Date: ${new Date(second * 1000).toUTCString()}\r\n`)
    }
    return this.#bytes
  }
}
