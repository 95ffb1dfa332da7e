/** Counts the wrong passwords at a node, by tunnel, address and window of time. */
import { addressKey } from '@postern/protocol/address'
import {
  WRONG_PASSWORD_ADDRESSES,
  WRONG_PASSWORDS_PER_MINUTE,
  WRONG_PASSWORDS_WINDOW_MS,
} from '@postern/protocol/limits'

export class WrongPasswords {
  readonly #now: () => number
  /** In the order in which their windows began. */
  readonly #counts = new Map<string, { count: number; readonly until: number }>()

  /** `now` is monotonic, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  add(tunnel: string, address: string): void {
    const key = keyOf(tunnel, address)
    const counted = this.#current(key)
    if (counted !== undefined) counted.count++
    else this.#begin(key)
  }

  /** Milliseconds until the address may try again at that tunnel; 0 if it may now. */
  lockedFor(tunnel: string, address: string): number {
    const counted = this.#current(keyOf(tunnel, address))
    if (counted === undefined || counted.count < WRONG_PASSWORDS_PER_MINUTE) return 0
    return counted.until - this.#now()
  }

  #current(key: string): { count: number; readonly until: number } | undefined {
    const counted = this.#counts.get(key)
    if (counted !== undefined && counted.until > this.#now()) return counted
    this.#counts.delete(key)
    return undefined
  }

  #begin(key: string): void {
    this.#counts.set(key, { count: 1, until: this.#now() + WRONG_PASSWORDS_WINDOW_MS })
    if (this.#counts.size <= WRONG_PASSWORD_ADDRESSES) return
    const [oldest] = this.#counts.keys()
    this.#counts.delete(oldest!)
  }
}

/** An IPv6 network counts as one. So does all that cannot be read. */
function keyOf(tunnel: string, address: string): string {
  try {
    return `${tunnel} ${addressKey(address, 'observed')}`
  } catch {
    return tunnel
  }
}
