/** Judges what a peer sends, frame by frame, and passes it to the stream it is for. Knows nothing of what is sent back. */
import { TunnelFault } from '../fault.ts'
import type { ControlAllowance } from './control-allowance.ts'
import { ALL_FLAGS, Flag, FrameType } from './frame.ts'
import { FrameDecoder, type FrameSink } from './frame-decoder.ts'
import type { MuxStream } from './raw-stream.ts'
import type { StreamTable } from './stream-table.ts'

/** What a peer's frames ask of the session. */
export interface Session {
  readonly now: () => number
  /** The peer opens a stream whose id is in order and for which there is a place. */
  accept(id: number): void
  /** The peer opens one more than it may. */
  refuse(id: number): void
  ping(value: number): void
  pong(value: number): void
  goAway(code: number): void
  /** The peer broke a rule: nothing further is to be read. */
  violate(rule: string): void
}

/** FIN and RST: what the opener of a stream sends to end it, in frames of their own. */
const ENDS_OF_A_STREAM = 2

export class Inbound implements FrameSink {
  readonly #session: Session
  readonly #streams: StreamTable
  readonly #allowance: ControlAllowance
  readonly #decoder = new FrameDecoder(this)
  /** Whose Data frame is being read; undefined: its payload is discarded. */
  #receiver: MuxStream | undefined
  #receiverEnds = false

  constructor(session: Session, streams: StreamTable, allowance: ControlAllowance) {
    this.#session = session
    this.#streams = streams
    this.#allowance = allowance
  }

  receive(chunk: Buffer): void {
    this.#decoder.decode(chunk)
  }

  /** Nothing further is read, not even the rest of the chunk at hand. */
  stop(): void {
    this.#decoder.stop()
    this.#receiver = undefined
  }

  frame(type: number, flags: number, id: number, length: number): void {
    if (flags > ALL_FLAGS) this.#session.violate(`flags ${flags}`)
    else if (type === FrameType.data) this.#data(flags, id, length)
    else if (type === FrameType.windowUpdate) this.#windowUpdate(flags, id, length)
    else if (id !== 0) this.#session.violate(`stream ${id} in a frame of the session`)
    else if (type === FrameType.ping) this.#ping(flags, length)
    else this.#goAway(flags, length)
  }

  payload(chunk: Buffer, from: number, to: number): void {
    if (this.#receiver?.live) this.#receiver.delivered(chunk, from, to)
  }

  frameEnd(): void {
    if (!this.#receiverEnds) return
    this.#receiverEnds = false
    if (this.#receiver !== undefined) this.#peerEnded(this.#receiver)
  }

  malformed(rule: string): void {
    this.#session.violate(rule)
  }

  #data(flags: number, id: number, length: number): void {
    const stream = flags === 0 ? this.#streams.get(id) : this.#flagged(flags, id)
    this.#receiver = stream
    if (stream === undefined) {
      if (!this.#streams.wasOpen(id)) return this.#session.violate(`data for stream ${id}, which was never opened`)
    } else {
      const broken = stream.announced(length)
      if (broken !== undefined) return this.#session.violate(`${broken} on stream ${id}`)
      this.#receiverEnds = (flags & Flag.fin) !== 0
    }
    if (length === 0 && !(flags & Flag.syn)) this.#affordAnswer()
  }

  #windowUpdate(flags: number, id: number, credit: number): void {
    if (!(flags & Flag.syn) && !this.#affordAnswer()) return
    const stream = flags === 0 ? this.#streams.get(id) : this.#flagged(flags, id)
    if (stream === undefined) {
      if (!this.#streams.wasOpen(id)) this.#session.violate(`window update for stream ${id}, which was never opened`)
      return
    }
    if (!stream.credited(credit)) return this.#session.violate(`window of stream ${id} beyond 32 bits`)
    if (flags & Flag.fin) this.#peerEnded(stream)
  }

  /** SYN and RST; ACK asks for nothing, since nobody waits for it. Returns the stream, if it is open afterwards. */
  #flagged(flags: number, id: number): MuxStream | undefined {
    if (flags & Flag.syn) this.#accept(id)
    const stream = this.#streams.get(id)
    if (stream === undefined || !(flags & Flag.rst)) return stream
    stream.abandon(new TunnelFault('stream-reset'), false)
    return undefined
  }

  /** A stream for which there is a place is the peer's right, and so is its end. One more is charged. */
  #accept(id: number): void {
    const broken = this.#streams.takePeerId(id)
    if (broken !== undefined) return this.#session.violate(broken)
    if (this.#streams.peerHasPlace) {
      this.#allowance.earn(ENDS_OF_A_STREAM)
      this.#session.accept(id)
    } else if (this.#afford()) this.#session.refuse(id)
  }

  #peerEnded(stream: MuxStream): void {
    const broken = stream.peerEnded()
    if (broken !== undefined) this.#session.violate(`${broken} on stream ${stream.id}`)
  }

  #ping(flags: number, value: number): void {
    if (flags === Flag.syn) {
      if (this.#afford()) this.#session.ping(value)
    } else if (flags === Flag.ack) {
      if (this.#affordAnswer()) this.#session.pong(value)
    } else this.#session.violate(`ping with flags ${flags}`)
  }

  #goAway(flags: number, code: number): void {
    if (!this.#afford()) return
    if (flags === 0) this.#session.goAway(code)
    else this.#session.violate(`GOAWAY with flags ${flags}`)
  }

  /** Charges a frame without payload that nothing of ours asked for. False: that was one too many, and the session has ended. */
  #afford(): boolean {
    return this.#allowance.spend(this.#session.now) || this.#flood()
  }

  /** Charges a frame without payload that may answer one of ours: a window update, ACK, FIN or RST, for a stream that is gone too. */
  #affordAnswer(): boolean {
    return this.#allowance.spendAnswer(this.#session.now) || this.#flood()
  }

  #flood(): false {
    this.#session.violate('a flood of frames without payload')
    return false
  }
}
