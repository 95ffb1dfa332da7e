/** Requests that wait for the same thing, by the address of their visitor: where one is too many, it is one of the address that has the most. */

export interface DisplaceableRequest {
  readonly addressKey: string
  /** Its place goes to a request of another address, another tunnel or another tenant. */
  displaced(): void
}

export class RequestsByAddress<R extends DisplaceableRequest> {
  /** Each set in the order of arrival. */
  readonly #waiting = new Map<string, Set<R>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** In the order of their turns; an address that comes is the last. */
  get addresses(): Iterable<string> {
    return this.#waiting.keys()
  }

  /** How many requests of that address wait. */
  from(addressKey: string): number {
    return this.#waiting.get(addressKey)?.size ?? 0
  }

  /** The request of that address that has waited the longest. */
  first(addressKey: string): R | undefined {
    const [request] = this.#waiting.get(addressKey) ?? []
    return request
  }

  add(request: R): void {
    const requests = this.#waiting.get(request.addressKey)
    if (requests === undefined) this.#waiting.set(request.addressKey, new Set([request]))
    else requests.add(request)
    this.#size += 1
  }

  /** False if it does not wait. */
  remove(request: R): boolean {
    const requests = this.#waiting.get(request.addressKey)
    if (requests === undefined || !requests.delete(request)) return false
    if (requests.size === 0) this.#waiting.delete(request.addressKey)
    this.#size -= 1
    return true
  }

  /** That address has had its turn. */
  moveBehind(addressKey: string): void {
    const requests = this.#waiting.get(addressKey)
    if (requests === undefined) return
    this.#waiting.delete(addressKey)
    this.#waiting.set(addressKey, requests)
  }

  /** The latest request of the address that has the most, if that has more than `least`. */
  excess(least: number): R | undefined {
    let most: Set<R> | undefined
    for (const requests of this.#waiting.values()) if (requests.size > (most?.size ?? least)) most = requests
    return most && [...most].at(-1)
  }
}
