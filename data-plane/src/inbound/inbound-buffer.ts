/** Bytes that were read from a visitor before they were wanted: the next pipelined request, or what waits for an upgrade. */
export class InboundBuffer {
  #bytes: Buffer | undefined

  get length(): number {
    return this.#bytes?.length ?? 0
  }

  /** Behind what is there. */
  append(chunk: Buffer): void {
    this.#bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk])
  }

  /** Before what is there. */
  prepend(pieces: readonly Buffer[]): void {
    if (pieces.length > 0) this.#bytes = Buffer.concat(this.#bytes === undefined ? pieces : [...pieces, this.#bytes])
  }

  /** All of it, which is then no longer here. */
  take(): Buffer | undefined {
    const bytes = this.#bytes
    this.#bytes = undefined
    return bytes
  }
}
