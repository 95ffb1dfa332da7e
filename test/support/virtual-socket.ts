/** A TCP connection without a kernel: one end behaves as a socket of `node:net` in what servers use of one, the other is in the hands of a test. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

type Done = (error?: Error | null) => void

/** What `node:net` reads from its socket at most at a time. */
const READ_BYTES = 64 * 1024

/**
 * What a system does by itself, a test does by calls: `SocketPeer.deliver` is the event that something can be read, and `settle` the event that
 * something was written. Nothing is delivered within a call of the socket's own user.
 */
export class VirtualSocket extends Duplex {
  readonly remoteAddress: string
  readonly peer: SocketPeer
  #stuck = false

  /** `capacity`: bytes that the system takes from the socket before its peer has read some. */
  constructor(capacity: number, remoteAddress = '127.0.0.1') {
    super({ allowHalfOpen: true, autoDestroy: true, emitClose: false })
    this.remoteAddress = remoteAddress
    this.peer = new SocketPeer(this, capacity)
    // As a server's sockets are with `pauseOnConnect`.
    this.pause()
  }

  /** As the code under test takes it. */
  get asSocket(): Socket {
    return this as unknown as Socket
  }

  /** Only this of a handle is looked at. */
  get _handle(): { readonly writeQueueSize: number } | null {
    return this.destroyed ? null : { writeQueueSize: this.peer.queued }
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  resetAndDestroy(): this {
    if (this.destroyed) return this
    // As libuv, which refuses it while a shutdown is under way: then the handle stays open, and no 'close' comes.
    if (this.peer.ending) this.#stuck = true
    else this.peer.socketReset()
    this.destroy()
    return this
  }

  override _read(): void {
    this.peer.reading = true
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.peer.written([chunk], done)
  }

  override _writev(items: { chunk: Buffer }[], done: Done): void {
    this.peer.written(
      items.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: Done): void {
    this.peer.ended(done)
  }

  override _destroy(error: Error | null, done: Done): void {
    if (this.#stuck) {
      done(Object.assign(new Error('reset EINVAL'), { code: 'EINVAL' }))
      return
    }
    this.peer.socketClosed()
    done(error)
    setImmediate(() => this.emit('close', error !== null))
  }
}

/** How the direction from the socket stands: `ended` by a FIN, `reset` by an RST. */
type Direction = 'open' | 'ended' | 'reset'

export class SocketPeer {
  /** The socket wants to read. */
  reading = false
  readonly #socket: VirtualSocket
  readonly #capacity: number
  /** Sent to the socket and not read by it. */
  #inbound: Buffer[] = []
  #inboundEnd: 'none' | 'fin' | 'rst' = 'none'
  #inboundOver = false
  /** In the system's hands on the way from the socket. */
  #outbound: Buffer[] = []
  #outboundBytes = 0
  /** Given to the system, which had no room for them yet. */
  #waiting: Buffer[] = []
  #waitingDone: Done | undefined
  #final: Done | undefined
  #finSent = false
  #closed = false
  #wasReset = false
  /** An RST came in while nothing was read: it shows on a write. */
  #hiddenReset = false

  constructor(socket: VirtualSocket, capacity: number) {
    this.#socket = socket
    this.#capacity = capacity
  }

  // ── what a test does ──────────────────────────────────────────────────────────────────────────────────────────────

  send(bytes: Buffer): void {
    if (this.#inboundEnd !== 'none' || bytes.length === 0) return
    // A system answers what comes for a socket that is closed by a reset, which takes what was not read with it.
    if (this.#closed) this.#resetOutbound()
    else this.#inbound.push(bytes)
  }

  end(): void {
    if (this.#inboundEnd === 'none') this.#inboundEnd = 'fin'
  }

  /** Nothing is read any more either. */
  reset(): void {
    if (this.#inboundEnd === 'rst') return
    this.#inboundEnd = 'rst'
    this.#inbound = []
    this.#inboundOver = false
    this.#resetOutbound()
  }

  /** Whether `deliver` would do something. */
  get deliverable(): boolean {
    if (this.#closed || this.#inboundOver || !this.reading) return false
    return this.#inbound.length > 0 || this.#inboundEnd !== 'none'
  }

  /** The socket reads once, if it reads: up to `most` bytes, or the end. */
  deliver(most = READ_BYTES): void {
    if (!this.deliverable) return
    const first = this.#inbound[0]
    if (first !== undefined) {
      const size = Math.min(most, READ_BYTES)
      const piece = first.length <= size ? first : first.subarray(0, size)
      if (piece === first) this.#inbound.shift()
      else this.#inbound[0] = first.subarray(size)
      if (!this.#socket.push(piece)) this.reading = false
      return
    }
    this.#inboundOver = true
    if (this.#inboundEnd === 'rst') return void this.#socket.destroy(connectionReset())
    this.#socket.push(null)
    this.#socket.read(0)
  }

  /** Up to so many bytes that the socket has written. */
  take(most: number): Buffer {
    const pieces: Buffer[] = []
    let left = most
    while (left > 0 && this.#outbound.length > 0) {
      const first = this.#outbound[0]!
      const piece = first.length <= left ? first : first.subarray(0, left)
      if (piece === first) this.#outbound.shift()
      else this.#outbound[0] = first.subarray(left)
      left -= piece.length
      pieces.push(piece)
    }
    this.#outboundBytes -= most - left
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  get readable(): number {
    return this.#outboundBytes
  }

  /** Bytes that the socket has given to the system, which has no room for them. */
  get queued(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0)
  }

  /** The end of the writing is under way. */
  get ending(): boolean {
    return this.#final !== undefined && this.#waitingDone === undefined
  }

  /** Whether `settle` would do something. */
  get unsettled(): boolean {
    return (this.#waitingDone !== undefined && this.#fits()) || (this.#final !== undefined && !this.#waitingDone)
  }

  /** The system takes what it has room for now. */
  settle(): void {
    if (this.#waitingDone !== undefined) {
      this.#moveWaiting()
      if (this.#waiting.length > 0) return
      const done = this.#waitingDone
      this.#waitingDone = undefined
      return done(this.#hiddenReset ? connectionReset() : null)
    }
    const final = this.#final
    if (final === undefined) return
    this.#final = undefined
    this.#finSent = true
    final(null)
  }

  /** As it shows behind the last byte of `take`. */
  get direction(): Direction {
    if (this.#outboundBytes > 0) return 'open'
    if (this.#wasReset) return 'reset'
    return this.#finSent ? 'ended' : 'open'
  }

  // ── what the socket does ──────────────────────────────────────────────────────────────────────────────────────────

  written(pieces: Buffer[], done: Done): void {
    if (this.#hiddenReset) return done(connectionReset())
    this.#waiting.push(...pieces.filter(({ length }) => length > 0))
    this.#moveWaiting()
    if (this.#waiting.length === 0) done(null)
    else this.#waitingDone = done
  }

  ended(done: Done): void {
    if (this.#hiddenReset) return done(null)
    this.#final = done
  }

  /** Closed with an RST: what the system has not sent is gone. */
  socketReset(): void {
    this.#resetOutbound()
  }

  socketClosed(): void {
    this.#closed = true
    // RFC 9293 §3.6: what was sent and not read is answered by a reset; otherwise the end follows what the system has taken.
    if (this.#inbound.length > 0) this.#resetOutbound()
    this.#inbound = []
    this.#waiting = []
    this.#finSent = true
    const done = this.#waitingDone
    this.#waitingDone = undefined
    this.#final = undefined
    if (done !== undefined) setImmediate(done, null)
  }

  #fits(): boolean {
    return this.#outboundBytes < this.#capacity || this.#hiddenReset
  }

  #moveWaiting(): void {
    while (this.#waiting.length > 0) {
      const room = this.#hiddenReset ? Infinity : this.#capacity - this.#outboundBytes
      if (room <= 0) return
      const first = this.#waiting[0]!
      const piece = first.length <= room ? first : first.subarray(0, room)
      if (piece === first) this.#waiting.shift()
      else this.#waiting[0] = first.subarray(room)
      if (this.#hiddenReset || this.#wasReset) continue
      this.#outbound.push(piece)
      this.#outboundBytes += piece.length
    }
  }

  #resetOutbound(): void {
    this.#outbound = []
    this.#outboundBytes = 0
    this.#wasReset = true
    if (!this.#closed && this.#inboundEnd === 'rst') this.#hiddenReset = true
  }
}

function connectionReset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
}
