/** Names requests: unique within the life of a process, and across processes by its prefix. */

export class RequestIds {
  readonly #prefix: string
  #count = 0

  /** `bootId`: random, one for each start of a process. */
  constructor(bootId: string) {
    this.#prefix = bootId.replaceAll('-', '').slice(0, 12)
  }

  readonly next = (): string => {
    this.#count += 1
    return `${this.#prefix}-${this.#count.toString(36)}`
  }
}
