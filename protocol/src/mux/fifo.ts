/** First in, first out. An array's own `shift` moves all that is behind, which is quadratic for a peer that sends single bytes. */

/** Up to here nothing is moved. */
const FEW = 64

export class Fifo<Item extends NonNullable<unknown>> {
  readonly #items: Item[] = []
  /** Index of the first item: those before it have been taken. */
  #first = 0

  push(item: Item): void {
    this.#items.push(item)
  }

  get length(): number {
    return this.#items.length - this.#first
  }

  /** `item` takes the place of the last one. Only where there is one. */
  replaceLast(item: Item): void {
    this.#items[this.#items.length - 1] = item
  }

  get first(): Item | undefined {
    return this.#items[this.#first]
  }

  /** Takes the first item out, if there is one. */
  drop(): void {
    const items = this.#items
    if (this.#first === items.length) return
    this.#first++
    if (this.#first === items.length) this.clear()
    // Half of them at once: then each is moved once at most, on average.
    else if (this.#first >= FEW && this.#first >= items.length / 2) {
      items.splice(0, this.#first)
      this.#first = 0
    }
  }

  clear(): void {
    // Mostly one: to take it out is cheaper than to set the length.
    while (this.#items.pop() !== undefined) {}
    this.#first = 0
  }
}
