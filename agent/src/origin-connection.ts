/** One mux stream and its TCP connection to the local server: bytes both ways, each direction ending by itself. */
import type { Socket } from 'node:net'
import type { TunnelFault } from '@postern/protocol/fault'
import { BODY_IDLE_MS } from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import { FailedWrites, onBytes, resetSocket } from '@postern/protocol/socket'
import type { LocalServer, LocalServerListener, OriginConnectFault } from './local-server.ts'

export interface OriginConnectionOptions {
  readonly stream: RawStream
  readonly server: LocalServer
  /** The local server is the reason why the stream is reset just after this call. `unsent`: nothing has reached it. */
  fault(streamId: number, code: OriginConnectFault['code'] | 'origin-closed', unsent: boolean): void
  /** The stream is gone; the local server still gets what was given to it. At most one call, and `done` follows. */
  delivering(connection: OriginConnection): void
  /** Both sides are over and every resource is given back. Called once. */
  done(connection: OriginConnection): void
}

/**
 * `connecting` holds what the peer sent meanwhile: at most one window, because nothing of it is credited. `delivering`: the stream was reset behind
 * the peer's FIN. The request is whole then, and an early answer does not mean that the local server does not want the rest of it. `cut`: the local server
 * has reset the connection; what it sent before goes on first.
 */
type Local =
  | { readonly kind: 'connecting'; readonly held: Buffer[]; readonly cancel: () => void }
  | { readonly kind: 'connected'; readonly socket: Socket; readonly writes: FailedWrites }
  | { readonly kind: 'delivering'; readonly socket: Socket; readonly deadline: NodeJS.Timeout }
  | { readonly kind: 'cut'; readonly unsent: boolean }
  | { readonly kind: 'over' }

const NOTHING = Buffer.alloc(0)

export class OriginConnection implements StreamListener, LocalServerListener {
  readonly #options: OriginConnectionOptions
  readonly #stream: RawStream
  #local: Local
  /** The peer's FIN has come: nothing more for the local server. */
  #peerEnded = false
  /** The local server's FIN has come and gone on: nothing more for the peer. */
  #localEnded = false
  /** Bytes in the local socket's queue that the peer has not been credited for. */
  #uncredited = 0
  #finished = false

  constructor(options: OriginConnectionOptions) {
    this.#options = options
    this.#stream = options.stream
    this.#stream.listen(this)
    this.#local = { kind: 'connecting', held: [], cancel: options.server.connect(this) }
  }

  // ── from the channel ──────────────────────────────────────────────────────────────────────────────────────────────

  data(chunk: Buffer): void {
    const local = this.#local
    if (local.kind === 'connected') this.#toLocal(local.socket, chunk)
    else if (local.kind === 'connecting') local.held.push(chunk)
    // The local server has answered in full and gone; what the visitor still sends is let through to nowhere, so that the answer can arrive.
    else this.#stream.consume(chunk.length)
  }

  end(): void {
    this.#peerEnded = true
    if (this.#local.kind === 'connected') this.#local.socket.end()
    else if (this.#local.kind === 'over') this.#finish()
  }

  reset(_why: TunnelFault): void {
    const local = this.#local
    if (local.kind === 'connected' && this.#peerEnded) return this.#deliver(local.socket)
    this.#local = { kind: 'over' }
    if (local.kind === 'connecting') local.cancel()
    else if (local.kind === 'connected') resetSocket(local.socket)
    this.#finish()
  }

  /** Ends a delivery: its place is needed. Harmless when repeated, and for a connection that does not only deliver. */
  cut(): void {
    if (this.#local.kind === 'delivering') resetSocket(this.#local.socket)
  }

  writable(): void {
    if (this.#local.kind === 'connected') this.#local.socket.resume()
    else if (this.#local.kind === 'cut') this.#abandon('origin-closed', this.#local.unsent)
  }

  // ── from the local server ─────────────────────────────────────────────────────────────────────────────────────────

  connected(socket: Socket): void {
    const held = this.#local.kind === 'connecting' ? this.#local.held : []
    const writes = new FailedWrites(socket)
    this.#local = { kind: 'connected', socket, writes }
    onBytes(socket, (chunk) => {
      if (!this.#stream.write(chunk) && this.#local.kind === 'connected') socket.pause()
    })
    socket.on('drain', () => this.#credit())
    socket.on('end', () => this.#localEnds(socket, writes))
    // 'close' follows and judges; without a listener the process would end.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#closed(socket))
    for (const chunk of held) this.#toLocal(socket, chunk)
    if (this.#peerEnded) socket.end()
  }

  failed(fault: OriginConnectFault): void {
    this.#abandon(fault.code, true)
  }

  /**
   * Node 20 reports a reset that arrives together with data as an end, and the answer would look whole (Node 24 does not). The
   * system knows better and says so at the next write; one of no bytes sends nothing. After a cut, 'close' follows.
   */
  #localEnds(socket: Socket, writes: FailedWrites): void {
    const ended = (): void => {
      if (writes.cut) return
      this.#localEnded = true
      this.#stream.end()
    }
    // With bytes still to go the answer would come after them, and the local server may well have ended without wanting them.
    if (socket.writableEnded || socket.writableLength > 0) ended()
    else socket.write(NOTHING, ended)
  }

  /** After `end` the answer is whole, however the other direction went; before it, it is cut and must look so. */
  #closed(socket: Socket): void {
    if (this.#local.kind === 'over') return
    if (this.#local.kind === 'delivering') return this.#delivered(this.#local.deadline)
    if (!this.#localEnded) return this.#cutOff(socket.bytesWritten === 0)
    this.#local = { kind: 'over' }
    this.#credit()
    if (this.#peerEnded) this.#finish()
  }

  /** A reset of the stream would overtake what the local server had answered before. */
  #cutOff(unsent: boolean): void {
    this.#stream.awaitEmpty?.()
    if (this.#stream.write(NOTHING)) this.#abandon('origin-closed', unsent)
    else this.#local = { kind: 'cut', unsent }
  }

  #abandon(code: OriginConnectFault['code'] | 'origin-closed', unsent: boolean): void {
    this.#local = { kind: 'over' }
    this.#options.fault(this.#stream.id, code, unsent)
    this.#stream.reset()
    this.#finish()
  }

  // ── when the stream is gone ───────────────────────────────────────────────────────────────────────────────────────

  /** A reset of the connection would overtake what the system has not passed on yet. What the local server answers is dropped. */
  #deliver(socket: Socket): void {
    if (socket.writableFinished) {
      this.#local = { kind: 'over' }
      socket.destroy()
      return this.#finish()
    }
    this.#local = { kind: 'delivering', socket, deadline: setTimeout(() => this.cut(), BODY_IDLE_MS) }
    socket.on('finish', () => socket.destroy())
    socket.resume()
    this.#options.delivering(this)
  }

  #delivered(deadline: NodeJS.Timeout): void {
    clearTimeout(deadline)
    this.#local = { kind: 'over' }
    this.#finish()
  }

  // ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #toLocal(socket: Socket, chunk: Buffer): void {
    if (socket.write(chunk)) this.#stream.consume(chunk.length)
    else this.#uncredited += chunk.length
  }

  #credit(): void {
    const bytes = this.#uncredited
    this.#uncredited = 0
    if (bytes > 0) this.#stream.consume(bytes)
  }

  #finish(): void {
    if (this.#finished) return
    this.#finished = true
    this.#options.done(this)
  }
}
