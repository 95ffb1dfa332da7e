/** Requests that wait for the next free stream of one tunnel, fair by visitor: each address has its turn, whatever the number of its requests. */
import { TunnelFault } from '@postern/protocol/fault'
import { QUEUED_PER_TUNNEL } from '@postern/protocol/limits'

type Ready = () => void

export class StreamQueue {
  /** By address, in the order of their turns; each list in the order of arrival. */
  readonly #waiting = new Map<string, Ready[]>()
  #size = 0
  #scheduled = false
  #offering = false
  /** The request that was offered a stream found none. */
  #full = false

  /** Requests that wait. */
  get size(): number {
    return this.#size
  }

  /** To be called before a stream is handed out: nobody overtakes those that wait. @throws TunnelFault `streams-exhausted` */
  guard(): void {
    if (this.#size > 0 && !this.#offering) throw new TunnelFault('streams-exhausted')
  }

  /**
   * `ready` is called once, when a stream may be free; it tries again, and enters again if there is none. Returns the leaving, harmless when repeated or
   * late; undefined if too many wait.
   */
  enter(addressKey: string, ready: Ready): (() => void) | undefined {
    if (this.#size >= QUEUED_PER_TUNNEL) return undefined
    const list = this.#waiting.get(addressKey) ?? []
    if (this.#offering) {
      this.#full = true
      this.#putFirst(addressKey, list)
      list.unshift(ready)
    } else {
      this.#waiting.set(addressKey, list)
      list.push(ready)
    }
    this.#size += 1
    return () => this.#remove(addressKey, list, ready)
  }

  /** A stream may be free: those that wait are asked, one after the other, until one finds none. */
  freed(): void {
    if (this.#size === 0 || this.#scheduled) return
    this.#scheduled = true
    // What frees a stream has yet to finish its own work.
    queueMicrotask(() => {
      this.#scheduled = false
      this.#offer()
    })
  }

  #offer(): void {
    this.#offering = true
    this.#full = false
    try {
      for (let left = this.#size; left > 0 && this.#size > 0 && !this.#full; left--) this.#takeFirst()()
    } finally {
      this.#offering = false
    }
  }

  /** Its address goes behind the others. */
  #takeFirst(): Ready {
    const [key, list] = this.#waiting.entries().next().value!
    const ready = list.shift()!
    this.#size -= 1
    this.#waiting.delete(key)
    if (list.length > 0) this.#waiting.set(key, list)
    return ready
  }

  #putFirst(key: string, list: Ready[]): void {
    const others = [...this.#waiting].filter(([each]) => each !== key)
    this.#waiting.clear()
    this.#waiting.set(key, list)
    for (const [each, theirs] of others) this.#waiting.set(each, theirs)
  }

  #remove(key: string, list: Ready[], ready: Ready): void {
    const at = list.indexOf(ready)
    if (at === -1) return
    list.splice(at, 1)
    this.#size -= 1
    if (list.length === 0 && this.#waiting.get(key) === list) this.#waiting.delete(key)
  }
}
