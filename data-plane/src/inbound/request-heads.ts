/** Reads the heads of one connection's requests, each out of the chunks it comes in. Knows nothing of what follows a head. */
import { HeadCarry, type RequestHead, RequestHeadParser } from '@postern/protocol/http'

export class RequestHeads {
  /** The index behind what the latest `read` took of its chunk. */
  next = 0
  readonly #parser = new RequestHeadParser()
  readonly #carry = new HeadCarry()

  /** A head has begun and is not whole yet. */
  get begun(): boolean {
    return this.#carry.length > 0
  }

  /** Bytes of it that came so far. */
  get begunBytes(): number {
    return this.#carry.length
  }

  /** The head that ends in this chunk, if one does; it holds until `clear`. @throws TunnelFault if there can be none */
  read(chunk: Buffer, from: number): RequestHead | undefined {
    const before = this.#carry.length
    this.next = chunk.length
    if (before === 0) {
      const head = this.#parser.parse(chunk, from, chunk.length)
      if (head === undefined) this.#carry.append(chunk, from, chunk.length)
      else this.next = from + head.bytes
      return head
    }
    this.#carry.append(chunk, from, chunk.length)
    const head = this.#parser.parse(this.#carry.buffer, 0, this.#carry.length)
    if (head !== undefined) this.next = from + head.bytes - before
    return head
  }

  /** When `read` has thrown: what was to be the head, from its first byte to the end of that chunk. */
  refused(chunk: Buffer, from: number): Buffer {
    if (this.#carry.length === 0) this.#carry.append(chunk, from, chunk.length)
    return this.#carry.buffer.subarray(0, this.#carry.length)
  }

  /** The latest head is done with, and the next one may begin. */
  clear(): void {
    this.#carry.clear()
  }

  /** No further head comes. */
  release(): void {
    this.#parser.release()
  }
}
