/** A TCP connection that keeps every byte it received, with the time of its arrival. Knows nothing of HTTP. */
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { resetSocket } from '@postern/protocol/socket'

export interface Arrival {
  /** Monotonic milliseconds. */
  readonly at: number
  readonly bytes: Buffer
}

/** How the peer's direction stands: a FIN is an end, everything else that ends it is a cut. */
export type Ending = 'open' | 'ended' | 'cut'

const NOTHING = Buffer.alloc(0)

interface Watch {
  look(): void
  giveUp(why: string): void
}

/** What a test waits for comes within milliseconds, or something is wrong; a slow machine with other work is granted this much. */
export const PATIENCE_MS = 30_000

export class RawConnection {
  readonly socket: Socket
  readonly arrivals: Arrival[] = []
  /** When the peer's direction ended; monotonic milliseconds. */
  endedAt = Number.NaN
  #ending: Ending = 'open'
  #length = 0
  #joined = Buffer.alloc(0)
  readonly #watches = new Set<Watch>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => {
      this.arrivals.push({ at: performance.now(), bytes })
      this.#length += bytes.length
      this.#changed()
    })
    socket.on('end', () => this.#judgeEnd())
    // 'close' follows, and is what counts.
    socket.on('error', () => {})
    socket.on('close', () => this.#end('cut'))
  }

  /** Half-open, without Nagle's delay. */
  static async open(target: NetConnectOpts | number): Promise<RawConnection> {
    const options: NetConnectOpts = typeof target === 'number' ? { host: '127.0.0.1', port: target } : target
    const socket = connect({ ...options, allowHalfOpen: true, noDelay: true } as NetConnectOpts)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new RawConnection(socket)
  }

  get ending(): Ending {
    return this.#ending
  }

  /** How many bytes came so far. */
  get length(): number {
    return this.#length
  }

  /** All that came so far. */
  get bytes(): Buffer {
    if (this.#joined.length < this.#length) this.#joined = Buffer.concat(this.arrivals.map(({ bytes }) => bytes))
    return this.#joined
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** FIN: nothing more is written, reading goes on. */
  end(bytes?: string | Buffer): void {
    if (bytes !== undefined) this.write(bytes)
    this.socket.end()
  }

  /** RST. */
  reset(): void {
    resetSocket(this.socket)
  }

  /** Closes without ceremony; harmless when repeated. */
  close(): void {
    this.socket.destroy()
  }

  /**
   * What `look` answers as soon as it is not undefined; asked again whenever bytes come or the connection ends.
   * @throws Error that tells what was waited for and what had come, after `withinMs` (Infinity: never)
   */
  until<T>(what: string, look: () => T | undefined, withinMs = PATIENCE_MS): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        this.#watches.delete(watch)
      }
      const watch: Watch = {
        look: () => {
          try {
            const seen = look()
            if (seen === undefined) return
            settle()
            resolve(seen)
          } catch (error) {
            settle()
            reject(error)
          }
        },
        giveUp: (why) => {
          settle()
          reject(new Error(`${why} while waiting for ${what}; ${this.#length} bytes came: ${this.#lastWords()}`))
        },
      }
      const timer =
        withinMs === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(() => watch.giveUp(`${withinMs} ms passed`), withinMs)
      this.#watches.add(watch)
      watch.look()
    })
  }

  /** Resolves when the peer's direction is over, with how. */
  over(withinMs?: number): Promise<Ending> {
    return this.until('the end', () => (this.#ending === 'open' ? undefined : this.#ending), withinMs)
  }

  /** Resolves when `text` has come, with everything up to its end. */
  saw(text: string, withinMs?: number): Promise<string> {
    return this.until(
      JSON.stringify(text),
      () => {
        const all = this.text
        const at = all.indexOf(text)
        return at < 0 ? undefined : all.slice(0, at + text.length)
      },
      withinMs,
    )
  }

  /**
   * Node 20 reports a reset that arrives together with data as an end (Node 24 does not). The system says so at the next write,
   * and one of no bytes tells without being sent; 'close' follows, and with it the cut.
   */
  #judgeEnd(): void {
    const { socket } = this
    if (socket.writableEnded || socket.writableLength > 0) return this.#end('ended')
    socket.write(NOTHING, (error) => {
      if (!error) this.#end('ended')
    })
  }

  #end(how: Ending): void {
    if (this.#ending !== 'open') return
    this.#ending = how
    this.endedAt = performance.now()
    this.#changed()
  }

  #changed(): void {
    for (const watch of this.#watches) watch.look()
  }

  #lastWords(): string {
    return JSON.stringify(this.text.slice(-400))
  }
}
