/** A connection without a kernel: what the peer says is pushed in, what is answered is kept. Knows nothing of what is said. */
import type net from 'node:net'
import { Duplex } from 'node:stream'

export class MemorySocket extends Duplex {
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 40_000
  readonly answered: Buffer[] = []
  /** Called with each answer, in a turn of its own: no peer answers while it is still being spoken to. */
  onAnswer: (bytes: Buffer) => void = () => {}

  constructor() {
    super({ allowHalfOpen: false })
  }

  override _read(): void {
    // The peer speaks when it likes.
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.answered.push(chunk)
    done()
    setImmediate(() => this.onAnswer(chunk))
  }

  setNoDelay(): this {
    return this
  }

  /** As the opening takes it; of a real socket it uses nothing that is not here. */
  get asSocket(): net.Socket {
    return this as unknown as net.Socket
  }
}
