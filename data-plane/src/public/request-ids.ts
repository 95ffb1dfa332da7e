/** Names requests: unique within the life of a process, and across processes by its prefix. */

/** 31 bits. With five digits behind it a name has 12 characters, and V8 makes a string of 13 out of pieces, which everybody who writes it pays for. */
const PREFIX_DIGITS = 6
const PREFIXES = 36 ** PREFIX_DIGITS

export class RequestIds {
  readonly #prefix: string
  #count = 0

  /** `bootId`: random hex digits, hyphens among them or not; one for each start of a process. */
  constructor(bootId: string) {
    const random = Number.parseInt(bootId.replaceAll('-', '').slice(0, 12), 16)
    this.#prefix = `${(random % PREFIXES).toString(36).padStart(PREFIX_DIGITS, '0')}-`
  }

  readonly next = (): string => {
    this.#count += 1
    return this.#prefix + this.#count.toString(36)
  }
}
