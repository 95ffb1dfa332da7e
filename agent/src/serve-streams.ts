/** Serves the streams that the data plane opens: one connection to the local server each. */
import type { StreamFaultMessage } from '@postern/protocol/channel'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import type { RawStream } from '@postern/protocol/mux'
import type { LocalServer } from './local-server.ts'
import { OriginConnection } from './origin-connection.ts'

export interface ServedStreamsOptions {
  readonly server: LocalServer
  /** Goes to the data plane before the stream is reset. */
  sendFault(message: StreamFaultMessage): void
}

export class ServedStreams {
  readonly #options: ServedStreamsOptions
  readonly #connections = new Set<OriginConnection>()
  /** Those without a stream, which no ceiling of streams counts; the oldest first. */
  readonly #delivering = new Set<OriginConnection>()
  #whenIdle: (() => void)[] = []

  constructor(options: ServedStreamsOptions) {
    this.#options = options
  }

  /** Connections to the local server, kept-alive ones included. */
  get size(): number {
    return this.#connections.size
  }

  serve(stream: RawStream): void {
    const { server, sendFault } = this.#options
    this.#connections.add(
      new OriginConnection({
        stream,
        server,
        fault: (streamId, fault, unsent) => sendFault({ type: 'stream-fault', streamId, fault, unsent }),
        delivering: (connection) => this.#deliver(connection),
        done: (connection) => this.#remove(connection),
      }),
    )
  }

  /** Resolves once no connection is left. */
  idle(): Promise<void> {
    if (this.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #deliver(connection: OriginConnection): void {
    this.#delivering.add(connection)
    if (this.#delivering.size <= STREAMS_PER_CHANNEL) return
    const [oldest] = this.#delivering
    this.#delivering.delete(oldest!)
    oldest!.cut()
  }

  #remove(connection: OriginConnection): void {
    this.#connections.delete(connection)
    this.#delivering.delete(connection)
    if (this.size > 0) return
    const waiting = this.#whenIdle
    this.#whenIdle = []
    for (const resolve of waiting) resolve()
  }
}
