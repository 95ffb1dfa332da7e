/** Splits bytes into lines of bounded length. Keeps at most one unfinished line, and nothing between lines. */

const LINE_FEED = 0x0a

export class LineSplitter {
  readonly #longest: number
  #unfinished: Buffer | undefined
  #length = 0
  #overlong = false

  /** `longest`: bytes of a line, its line feed not counted. */
  constructor(longest: number) {
    this.#longest = longest
  }

  /** Whether a line was longer than it may be; nothing more comes out then. */
  get overlong(): boolean {
    return this.#overlong
  }

  /** The lines that `chunk` completes, without their line feeds. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let start = 0
    while (!this.#overlong) {
      const end = chunk.indexOf(LINE_FEED, start)
      const piece = chunk.subarray(start, end < 0 ? undefined : end)
      if (this.#length + piece.length > this.#longest) {
        this.#overlong = true
        this.#unfinished = undefined
      } else if (end < 0) {
        this.#keep(piece)
        break
      } else {
        lines.push(this.#finish(piece))
        start = end + 1
      }
    }
    return lines
  }

  /** Copied, because a slice would keep all of the chunk it came in. */
  #keep(piece: Buffer): void {
    if (piece.length === 0) return
    this.#unfinished ??= Buffer.allocUnsafeSlow(this.#longest)
    piece.copy(this.#unfinished, this.#length)
    this.#length += piece.length
  }

  #finish(piece: Buffer): Buffer {
    if (this.#unfinished === undefined) return piece
    this.#keep(piece)
    const line = this.#unfinished.subarray(0, this.#length)
    this.#unfinished = undefined
    this.#length = 0
    return line
  }
}
