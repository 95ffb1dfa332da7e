/** A text that must not be seen by accident: every way of printing it shows a mask. */
import { inspect } from 'node:util'

const MASK = '[secret]'

/** Holds a token or a key. Only `reveal` gives the text; string, JSON and inspect forms are masked. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself; call it where it is used, and keep no copy. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}
