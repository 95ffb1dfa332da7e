/** How many visitors' connections there may be at once, in total and from one address. Knows nothing of sockets. */
import { VISITORS_PER_ADDRESS, VISITORS_PER_TASK } from '@postern/protocol/limits'

export class VisitorCeilings {
  readonly perTask: number
  readonly #perAddress: number
  readonly #byAddress = new Map<string, number>()

  constructor(limits: { perTask?: number; perAddress?: number } = {}) {
    this.perTask = limits.perTask ?? VISITORS_PER_TASK
    this.#perAddress = limits.perAddress ?? VISITORS_PER_ADDRESS
  }

  /** Addresses from which somebody is here. */
  get addresses(): number {
    return this.#byAddress.size
  }

  /** Connections from the address of this key. */
  from(key: string): number {
    return this.#byAddress.get(key) ?? 0
  }

  /** Counts a connection from the address of this key. Returns its removal, to be called once; undefined if there are too many. */
  enterFrom(key: string): (() => void) | undefined {
    return this.from(key) >= this.#perAddress ? undefined : this.replaceFrom(key)
  }

  /** As `enterFrom`, however many there are: another one of that address is about to be removed. */
  replaceFrom(key: string): () => void {
    this.#byAddress.set(key, this.from(key) + 1)
    return () => {
      const left = this.from(key) - 1
      if (left > 0) this.#byAddress.set(key, left)
      else this.#byAddress.delete(key)
    }
  }
}
