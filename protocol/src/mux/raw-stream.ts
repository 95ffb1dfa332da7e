/** One stream of a multiplexer: both halves, both windows, the bytes that wait. Knows the multiplexer only as the host it is given. */
import { TunnelFault } from '../fault.ts'
import { FRAME_PAYLOAD_BYTES, INITIAL_WINDOW_BYTES, STREAM_BACKLOG_BYTES } from '../limits.ts'
import { ByteQueue } from '../socket/byte-queue.ts'
import { ReceiveWindow } from './flow-window.ts'
import { Flag, FrameType } from './frame.ts'
import type { Output } from './output.ts'
import type { ReadyList } from './ready-list.ts'
import { SendQueue } from './send-queue.ts'
import type { RawStream, StreamListener } from './stream.ts'
import { OPENED, type StreamState, step } from './stream-state.ts'
import type { WindowShare } from './window-budget.ts'

/** What a stream needs of its multiplexer. */
export interface StreamHost {
  readonly windows: WindowShare
  readonly now: () => number
  /** When the bytes at hand arrived: one look at the clock for all frames of a chunk. */
  readonly arrivedAt: number
  /** The stream has something to send. */
  ready(stream: MuxStream): void
  /** Half a window or more has been consumed: tell the peer. */
  credit(stream: MuxStream): void
  /** Its user has left it. What it was given before its end still goes. */
  delivers(stream: MuxStream): void
  /** The stream is gone; `tellPeer` asks for an RST. */
  gone(stream: MuxStream, tellPeer: boolean): void
  /** A listener threw; the stream ends. */
  crashed(fault: TunnelFault): void
  /** A frame with payload has left, which frames of the peer may answer. */
  sentPayload(): void
}

/** A piece much smaller than the chunk it came in is copied when its reader is behind, or it would keep the whole chunk. */
const COPY_IF_CHUNK_LARGER_BY = 4
/** Of small pieces that are copied together for a reader that holds too many: forty times what keeping one piece costs. */
const COPIED_TOGETHER_BYTES = 8 * 1024
const LARGEST_WINDOW = 0xffff_ffff

export class MuxStream implements RawStream {
  readonly id: number
  readonly receives: ReceiveWindow
  state: StreamState = OPENED
  /** SYN or ACK as long as it has not been sent; 0 afterwards. It rides on the first frame that leaves. */
  opening: number
  expedited = false
  readyIn: ReadyList | undefined
  nextReady: MuxStream | undefined
  previousReady: MuxStream | undefined
  readonly #host: StreamHost
  readonly #sends = new SendQueue()
  #sendWindow = INITIAL_WINDOW_BYTES
  #writerWaits = false
  /** From so many bytes in the queue on its writer waits, until half of them are left. */
  #backlogBytes = STREAM_BACKLOG_BYTES
  /** Its user has left it: nothing is read any more. */
  #delivering = false
  /** When a frame last left others behind; monotonic ms, undefined while nothing waits but what was written since the last flush. */
  #leftBehindAt: number | undefined
  #listener: StreamListener | undefined
  /** What has come behind too many small pieces that the reader holds: it gets that as one piece, when it has moved on or when there is enough. */
  #behind: ByteQueue | undefined

  constructor(host: StreamHost, id: number, opening: number) {
    this.#host = host
    this.id = id
    this.opening = opening
    this.receives = new ReceiveWindow(host.windows)
  }

  // ── what its user calls ───────────────────────────────────────────────────────────────────────────────────────────

  listen(listener: StreamListener): void {
    if (this.state.kind === 'live') this.#listener = listener
  }

  write(chunk: Buffer): boolean {
    if (this.state.kind === 'gone' || this.state.outbound !== 'open') return false
    if (chunk.length > 0) {
      this.#sends.push(chunk)
      if (this.#sendWindow > 0) this.#host.ready(this)
    }
    this.#writerWaits = this.#sends.bytes >= this.#backlogBytes
    return !this.#writerWaits
  }

  awaitEmpty(): void {
    this.#backlogBytes = 1
  }

  end(): void {
    this.state = step(this.state, 'end')
    if (this.sendable) this.#host.ready(this)
  }

  reset(): void {
    if (this.state.kind === 'gone' || this.#delivering) return
    // Of a stream that the peer has not heard of, nobody expects anything.
    if (this.state.outbound === 'ending' && this.opening !== Flag.syn) this.#deliver()
    else this.#leave('reset', true)
  }

  consume(bytes: number): void {
    if (this.state.kind === 'gone' || this.#delivering) return
    if (this.receives.consume(bytes)) this.receives.heldSince = this.#host.now()
    // Not now: the reader may be in the middle of a piece.
    if (this.#behind !== undefined) queueMicrotask(() => this.#handOnBehind())
    const peerMaySend = this.state.inbound === 'open' && this.opening !== Flag.syn
    if (peerMaySend && this.receives.creditDue) this.#host.credit(this)
  }

  // ── what its multiplexer calls ────────────────────────────────────────────────────────────────────────────────────

  get live(): boolean {
    return this.state.kind === 'live'
  }

  /** Memory that its reader and its queue hold, in bytes. */
  get held(): number {
    return this.heldReceived + this.#sends.held
  }

  /** Memory that its reader holds, and what waits for the reader, in bytes. */
  get heldReceived(): number {
    return this.receives.held + (this.#behind?.length ?? 0)
  }

  /** Since when its reader has moved nothing; monotonic ms, Infinity if it holds nothing. */
  get unreadSince(): number {
    return this.receives.unconsumed > 0 ? this.receives.heldSince : Infinity
  }

  /** Since when nothing of what it holds has moved; monotonic ms. Infinity if it holds nothing, later than any time if that is not known. */
  get stalledSince(): number {
    return this.queues ? Math.min(this.unreadSince, this.#leftBehindAt ?? Number.MAX_VALUE) : this.unreadSince
  }

  get heard(): boolean {
    return this.#listener !== undefined
  }

  /** Whether `sendFrame` would send something. */
  get sendable(): boolean {
    if (this.state.kind === 'gone') return false
    if (this.#sends.bytes > 0 && this.#sendWindow > 0) return true
    return this.opening !== 0 || (this.#sends.bytes === 0 && this.state.outbound === 'ending')
  }

  /** Whether bytes of its writer have not left yet. */
  get queues(): boolean {
    return this.#sends.bytes > 0
  }

  get writerHasRoom(): boolean {
    return this.#writerWaits && this.#sends.bytes <= this.#backlogBytes / 2
  }

  /**
   * Writes the stream's next frame, and its FIN if nothing is left behind it. Returns the bytes of payload.
   * FIN is a frame of its own: Go's yamux acts on the flag before it reads the payload of the same frame.
   */
  sendFrame(output: Output): number {
    const bytes = Math.min(FRAME_PAYLOAD_BYTES, this.#sendWindow, this.#sends.bytes)
    if (bytes > 0) {
      output.header(FrameType.data, this.#takeOpening(), this.id, bytes)
      this.#sends.moveTo(output, bytes)
      this.#sendWindow -= bytes
      this.#host.sentPayload()
      if (this.queues) this.#leftBehindAt = this.#host.now()
      else if (this.#leftBehindAt !== undefined) this.#leftBehindAt = undefined
    }
    if (this.state.kind === 'live' && this.state.outbound === 'ending' && this.#sends.bytes === 0) {
      output.header(FrameType.windowUpdate, this.#takeOpening() | Flag.fin, this.id, 0)
      this.#sent('fin-sent')
      if (this.#delivering && this.live) this.#delivered(output)
    } else if (this.opening !== 0) {
      output.header(FrameType.windowUpdate, this.#takeOpening(), this.id, 0)
    }
    return bytes
  }

  /** The peer may send `credit` bytes more. False: more than the field of the specification can count. */
  credited(credit: number): boolean {
    const wasDry = this.#sendWindow === 0
    this.#sendWindow += credit
    if (wasDry && credit > 0 && this.sendable) this.#host.ready(this)
    return this.#sendWindow <= LARGEST_WINDOW
  }

  /** A Data header announces `length` bytes. Returns the rule it breaks, if any. */
  announced(length: number): string | undefined {
    if (length > 0 && this.state.kind === 'live' && this.state.inbound === 'ended') return 'data after FIN'
    return this.receives.arrive(length, this.#host.arrivedAt) ? undefined : 'window overrun'
  }

  delivered(chunk: Buffer, from: number, to: number): void {
    if (this.#delivering) return
    if (this.#listener === undefined) return this.abandon(new TunnelFault('stream-reset', 'nobody listens'), true)
    if (this.#behind !== undefined || this.receives.shredded) return this.#copyBehind(slice(chunk, from, to))
    const isBehind = this.receives.unconsumed > 0
    this.#handOn(isBehind ? pieceOfItsOwn(chunk, from, to) : slice(chunk, from, to), this.#host.arrivedAt)
  }

  /** The peer's FIN. Returns the rule it breaks, if any. */
  peerEnded(): string | undefined {
    if (this.state.kind === 'gone') return undefined
    if (this.state.inbound === 'ended') return 'FIN twice'
    this.#handOnBehind()
    if (!this.live) return undefined
    const listener = this.#listener
    this.receives.release()
    this.#sent('fin-received')
    try {
      listener?.end()
    } catch (error) {
      this.crashed(error)
    }
    return undefined
  }

  /** The stream ends for a reason its user has not chosen. */
  abandon(why: TunnelFault, tellPeer: boolean): void {
    if (this.state.kind === 'gone') return
    const listener = this.#listener
    this.#leave('reset', tellPeer)
    try {
      listener?.reset(why)
    } catch (error) {
      this.crashed(error)
    }
  }

  /** Its listener threw: the stream ends, and nothing else. */
  crashed(error: unknown): void {
    const fault = new TunnelFault('internal-error', 'a listener of a stream threw', { cause: error })
    this.#host.crashed(fault)
    this.abandon(fault, true)
  }

  /** Asks the writer to go on, if it was told to wait and there is room. */
  tellRoom(): void {
    if (!this.writerHasRoom || this.state.kind === 'gone' || this.state.outbound !== 'open') return
    this.#writerWaits = false
    try {
      this.#listener?.writable()
    } catch (error) {
      this.crashed(error)
    }
  }

  #handOn(piece: Buffer, now: number): void {
    this.receives.deliver(piece.length, now)
    try {
      this.#listener?.data(piece)
    } catch (error) {
      this.crashed(error)
    }
  }

  #copyBehind(piece: Buffer): void {
    this.#behind ??= new ByteQueue()
    this.#behind.append(piece)
    if (this.#behind.length >= COPIED_TOGETHER_BYTES) this.#handOnBehind()
  }

  #handOnBehind(): void {
    const piece = this.#behind?.take()
    this.#behind = undefined
    if (piece !== undefined) this.#handOn(piece, this.#host.now())
  }

  #deliver(): void {
    this.#delivering = true
    this.#listener = this.#behind = undefined
    this.receives.abandon()
    this.#host.delivers(this)
  }

  /** Behind its FIN, so that the peer has all before it is told that nobody reads what it still sends. */
  #delivered(output: Output): void {
    output.header(FrameType.windowUpdate, Flag.rst, this.id, 0)
    this.#leave('reset', false)
  }

  #takeOpening(): number {
    const flag = this.opening
    this.opening = 0
    return flag
  }

  #sent(event: 'fin-sent' | 'fin-received'): void {
    const next = step(this.state, event)
    if (next.kind === 'gone') this.#leave(event, false)
    else this.state = next
  }

  /** Everything it kept goes at once, its listener included. */
  #leave(event: 'fin-sent' | 'fin-received' | 'reset', tellPeer: boolean): void {
    this.state = step(this.state, event)
    this.#sends.clear()
    this.receives.release()
    this.#listener = this.#behind = undefined
    this.#host.gone(this, tellPeer)
  }
}

const slice = (chunk: Buffer, from: number, to: number): Buffer =>
  from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to)

function pieceOfItsOwn(chunk: Buffer, from: number, to: number): Buffer {
  if ((to - from) * COPY_IF_CHUNK_LARGER_BY >= chunk.length) return slice(chunk, from, to)
  const copy = Buffer.allocUnsafeSlow(to - from)
  chunk.copy(copy, 0, from, to)
  return copy
}
