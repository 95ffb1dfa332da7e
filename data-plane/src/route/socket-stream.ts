/** A plain TCP connection in the shape of a mux stream. Knows nothing of why it is connected. */
import type { Socket } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import type { ByteStream, StreamListener } from '@postern/protocol/mux'
import { FailedWrites, resetSocket } from '@postern/protocol/socket'

/** `socket` may still be connecting; it must have been made with `allowHalfOpen`. */
export class SocketStream implements ByteStream {
  readonly #socket: Socket
  #listener: StreamListener | undefined
  /** Bytes delivered and not yet consumed; the socket is paused while there are any beyond what one read delivers. */
  #owed = 0
  #over = false

  constructor(socket: Socket) {
    this.#socket = socket
    const writes = new FailedWrites(socket)
    socket.on('data', (chunk: Buffer) => this.#deliver(chunk))
    // Cut: 'close' follows.
    socket.on('end', () => writes.cut || this.#finish())
    socket.on('drain', () => this.#listener?.writable())
    socket.on('error', (cause) => this.#lose(cause))
    socket.on('close', () => this.#lose(undefined))
  }

  listen(listener: StreamListener): void {
    this.#listener = listener
  }

  write(chunk: Buffer): boolean {
    if (this.#socket.writableEnded || this.#socket.destroyed) return true
    return this.#socket.write(chunk)
  }

  end(): void {
    this.#socket.end()
  }

  reset(): void {
    this.#over = true
    resetSocket(this.#socket)
  }

  consume(bytes: number): void {
    this.#owed -= bytes
    if (this.#owed <= 0) this.#socket.resume()
  }

  #deliver(chunk: Buffer): void {
    this.#owed += chunk.length
    this.#listener?.data(chunk)
    if (this.#owed > 0) this.#socket.pause()
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#listener?.end()
  }

  #lose(cause: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    const refused = cause !== undefined && 'code' in cause && cause.code === 'ECONNREFUSED'
    this.#listener?.reset(new TunnelFault(refused ? 'origin-refused' : 'origin-closed', cause?.message, { cause }))
  }
}
