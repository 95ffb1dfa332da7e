/** A visitor by HTTP/1.1 that says what a test tells it and keeps all that it hears. Knows nothing of HTTP. */
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export class Browser {
  text = ''
  ended = false
  closed = false
  error: NodeJS.ErrnoException | undefined
  readonly socket: Socket
  readonly #changed = new EventEmitter()

  /** Half-open. It is gone when the test is over. `localAddress`: where it comes from. */
  constructor(port: number, localAddress = '127.0.0.1') {
    this.socket = connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true, noDelay: true })
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1')
      this.#changed.emit('change')
    })
    this.socket.on('end', () => {
      this.ended = true
      this.#changed.emit('change')
    })
    this.socket.on('error', (error) => {
      this.error = error
    })
    this.socket.on('close', () => {
      this.closed = true
      this.#changed.emit('change')
    })
    onTestFinished(() => void this.socket.destroy())
  }

  send(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }

  /** Resolves once `holds` is true of what came so far. */
  async until(holds: (browser: Browser) => boolean): Promise<this> {
    const signal = AbortSignal.timeout(5000)
    while (!holds(this)) {
      await once(this.#changed, 'change', { signal }).catch((cause: unknown) => {
        throw new Error(`it did not come; so far: ${this.text}`, { cause })
      })
    }
    return this
  }
}
