/** For tests: a connection to a local server that takes what it is told to take, and not before. */
import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

export class SlowSocket extends Duplex {
  taken = ''
  wasReset = false
  #take: (() => void) | undefined
  bytesWritten = 0

  constructor() {
    super({ allowHalfOpen: true, emitClose: true })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.bytesWritten += chunk.length
    this.#take = () => {
      this.#take = undefined
      this.taken += chunk
      done()
    }
  }

  override _final(done: () => void): void {
    this.taken += '.'
    done()
  }

  resetAndDestroy(): this {
    this.wasReset = true
    return this.destroy()
  }

  /** One write after the other, with the turns that a stream takes between them. */
  async takeAll(): Promise<void> {
    for (await turn(); this.#take !== undefined; await turn()) this.#take()
  }
}
