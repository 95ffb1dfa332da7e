/** Follows responses on one connection to their ends. Trusts them to have a Content-Length; knows nothing of sockets. */

const HEAD_END = '\r\n\r\n'
/** Longer than any head that a measured system writes. */
const HEAD_BYTES = 16 * 1024

export class ResponseReader {
  readonly #whole: (status: number, bodyBytes: number, bodyStart: string) => void
  readonly #head = Buffer.allocUnsafe(HEAD_BYTES)
  #headBytes = 0
  #status = 0
  #bodyBytes = 0
  #bodyLeft = 0
  #bodyStart = ''

  /** `whole` hears of each response: status, size of the body, the first bytes of it. */
  constructor(whole: (status: number, bodyBytes: number, bodyStart: string) => void) {
    this.#whole = whole
  }

  /** Reads the first `length` bytes of `chunk` and keeps nothing of it. */
  read(chunk: Buffer, length: number): void {
    let at = 0
    while (at < length) at = this.#bodyLeft > 0 ? this.#readBody(chunk, at, length) : this.#readHead(chunk, at, length)
  }

  #readHead(chunk: Buffer, from: number, to: number): number {
    const before = this.#headBytes
    this.#headBytes += chunk.copy(this.#head, before, from, to)
    const text = this.#head.toString('latin1', 0, this.#headBytes)
    const end = text.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length))
    if (end < 0) {
      if (this.#headBytes === HEAD_BYTES) throw new Error(`no end of the head within ${HEAD_BYTES} bytes`)
      return to
    }
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text.slice(0, end + 2))?.[1]
    if (length === undefined) throw new Error(`a response without Content-Length: ${text.slice(0, end)}`)
    this.#status = Number(text.slice(9, 12))
    this.#bodyBytes = this.#bodyLeft = Number(length)
    this.#bodyStart = ''
    this.#headBytes = 0
    if (this.#bodyLeft === 0) this.#whole(this.#status, 0, '')
    return from + end + HEAD_END.length - before
  }

  #readBody(chunk: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#bodyLeft)
    if (this.#bodyStart.length < 64) this.#bodyStart += chunk.toString('latin1', from, Math.min(end, from + 64))
    this.#bodyLeft -= end - from
    if (this.#bodyLeft === 0) this.#whole(this.#status, this.#bodyBytes, this.#bodyStart)
    return end
  }
}
