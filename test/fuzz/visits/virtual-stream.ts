/** A stream between two ends without a multiplexer: what one writes the other gets when the wire is told to carry it. */
import { TunnelFault } from '@postern/protocol/fault'
import type { RawStream, StreamListener } from '@postern/protocol/mux'

export interface StreamLimits {
  /** Bytes that one end may send before the other has consumed some. */
  readonly window: number
  /** Bytes that wait at one end beyond which `write` answers false. */
  readonly backlog: number
}

type Frame = { readonly kind: 'data'; readonly bytes: Buffer } | { readonly kind: 'end' } | { readonly kind: 'reset' }

/** Whatever breaks the contract of a stream, in words. */
type Violated = (what: string) => void

/** As a mux stream, whose rules for writing, ending, credit and resets are in `MuxStream` and `ByteStream`. */
export class VirtualStream implements RawStream {
  readonly id: number
  other!: VirtualStream
  /** Bytes that the listener was given, and those that it has given back. */
  delivered = 0
  consumed = 0
  /** Bytes that its user has given it. */
  written = 0
  /** The index of the first byte, of those for this end, that belongs to no message. */
  excessFrom = Infinity
  gone = false
  /** Why this end is gone, where it is gone by a reset: its own, the other end's, or one of the channel. */
  goneBy: 'finished' | 'own-reset' | TunnelFault | undefined
  readonly #limits: StreamLimits
  readonly #violated: Violated
  #listener: StreamListener | undefined
  #sends: Buffer[] = []
  #sendsBytes = 0
  #credit: number
  #full = false
  #ending = false
  #ended = false
  #otherEnded = false
  readonly #wire: Frame[] = []
  /** Called once, when it is gone. */
  onGone: () => void = () => {}

  constructor(id: number, limits: StreamLimits, violated: Violated) {
    this.id = id
    this.#limits = limits
    this.#violated = violated
    this.#credit = limits.window
  }

  listen(listener: StreamListener): void {
    if (!this.gone) this.#listener = listener
  }

  write(chunk: Buffer): boolean {
    if (this.gone || this.#ending) return false
    if (chunk.length > 0) {
      this.written += chunk.length
      this.#sends.push(chunk)
      this.#sendsBytes += chunk.length
    }
    this.#full = this.#sendsBytes >= this.#limits.backlog
    return !this.#full
  }

  end(): void {
    this.#ending = true
  }

  reset(): void {
    if (this.gone) return
    this.#leave('own-reset')
    this.#wire.push({ kind: 'reset' })
  }

  consume(bytes: number): void {
    if (this.gone) return
    if (bytes < 0 || this.consumed + bytes > this.delivered)
      this.#violated(`stream ${this.id}: ${this.consumed} + ${bytes} bytes consumed of ${this.delivered}`)
    this.consumed += bytes
    if (!this.#otherEnded) this.other.#credit += bytes
  }

  /** The channel is gone, for both ends. */
  lose(why: TunnelFault): void {
    this.#wire.length = 0
    this.#loseOwn(why)
    this.other.#loseOwn(why)
  }

  #loseOwn(why: TunnelFault): void {
    if (this.gone) return
    const listener = this.#listener
    this.#leave(why)
    listener?.reset(why)
  }

  // ── the wire ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes that this end may still send. */
  get credit(): number {
    return this.#credit
  }

  get backlog(): number {
    return this.#sendsBytes
  }

  /** Whether `carry` would do something. */
  get moves(): boolean {
    if (this.#wire.length > 0) return true
    if (this.gone) return false
    return (this.#sendsBytes > 0 && this.#credit > 0) || (this.#sendsBytes === 0 && this.#ending && !this.#ended)
  }

  /** The next frame from this end is sent, with at most so many bytes, and reaches the other one. */
  carry(most: number): void {
    this.#frame(most)
    const frame = this.#wire.shift()
    if (frame !== undefined) this.other.#receive(frame)
    const room = this.#full && !this.gone && !this.#ending && this.#sendsBytes <= this.#limits.backlog / 2
    if (!room) return
    this.#full = false
    this.#listener?.writable()
  }

  #frame(most: number): void {
    if (this.gone) return
    const size = Math.min(most, this.#credit, this.#sendsBytes)
    if (size > 0) {
      const all = this.#sends.length === 1 ? this.#sends[0]! : Buffer.concat(this.#sends)
      this.#sends = size < all.length ? [all.subarray(size)] : []
      this.#sendsBytes -= size
      this.#credit -= size
      this.#wire.push({ kind: 'data', bytes: all.subarray(0, size) })
    } else if (this.#sendsBytes === 0 && this.#ending && !this.#ended) {
      this.#ended = true
      this.#wire.push({ kind: 'end' })
      if (this.#otherEnded) this.#leave('finished')
    }
  }

  #receive(frame: Frame): void {
    if (this.gone) return
    switch (frame.kind) {
      case 'data':
        if (this.#listener === undefined) return this.#violated(`stream ${this.id}: nobody listens`)
        this.delivered += frame.bytes.length
        return this.#listener.data(frame.bytes)
      case 'end': {
        const listener = this.#listener
        this.#otherEnded = true
        if (this.#ended) this.#leave('finished')
        return listener?.end()
      }
      case 'reset':
        return this.#loseOwn(new TunnelFault('stream-reset'))
    }
  }

  #leave(by: 'finished' | 'own-reset' | TunnelFault): void {
    if (this.gone) return
    this.gone = true
    this.goneBy = by
    this.#listener = undefined
    this.#sends = []
    this.#sendsBytes = 0
    this.onGone()
  }
}

/** The two ends. */
export function streamPair(id: number, limits: StreamLimits, violated: Violated): [VirtualStream, VirtualStream] {
  const near = new VirtualStream(id, limits, violated)
  const far = new VirtualStream(id, limits, violated)
  near.other = far
  far.other = near
  return [near, far]
}
