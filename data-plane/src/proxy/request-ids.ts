/** Names requests: unique within the life of a process, and across processes by its prefix. */

/** 31 bits. With five digits behind it a name has 12 characters, and V8 makes a string of 13 out of pieces, which everybody who writes it pays for. */
const PREFIX_DIGITS = 6
const PREFIXES = 36 ** PREFIX_DIGITS

/** The last digits, which change with each name, all made before: a number made into text costs more than a look. */
const LAST_DIGITS = 2
const ENDS = Array.from({ length: 36 ** LAST_DIGITS }, (_, n) => n.toString(36).padStart(LAST_DIGITS, '0'))

export class RequestIds {
  readonly #prefix: string
  /** The prefix and the digits before the last. */
  #beginning: string
  #rounds = 0
  #next = 0

  /** `bootId`: random hex digits, hyphens among them or not; one for each start of a process. */
  constructor(bootId: string) {
    const random = Number.parseInt(bootId.replaceAll('-', '').slice(0, 12), 16)
    this.#prefix = `${(random % PREFIXES).toString(36).padStart(PREFIX_DIGITS, '0')}-`
    this.#beginning = this.#prefix
  }

  readonly next = (): string => {
    if (this.#next === ENDS.length) {
      this.#next = 0
      this.#rounds += 1
      this.#beginning = this.#prefix + this.#rounds.toString(36)
    }
    return this.#beginning + ENDS[this.#next++]!
  }
}
