/** The Date line of responses, written once a second (RFC 9110 §6.6.1). */

export class DateLine {
  readonly #now: () => number
  readonly #behind: string
  #bytes: Buffer | undefined

  /** `now`: milliseconds since 1970. `behind`: what goes behind the line in the same bytes. */
  constructor(now: () => number, behind = '') {
    this.#now = now
    this.#behind = behind
  }

  /** The same bytes until the second is over. A timer ends it, because a look at the clock costs as much as the rest of the line. */
  get bytes(): Buffer {
    return this.#bytes ?? this.#write()
  }

  #write(): Buffer {
    const now = this.#now()
    this.#bytes = Buffer.from(`Date: ${new Date(now).toUTCString()}\r\n${this.#behind}`)
    setTimeout(
      () => {
        this.#bytes = undefined
      },
      1000 - (now % 1000),
    ).unref()
    return this.#bytes
  }
}
