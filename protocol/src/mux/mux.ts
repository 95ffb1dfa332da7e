/** Many streams over one ordered flow of bytes: bytes in, events and bytes out. Has never heard of a socket. */
import { TunnelFault } from '../fault.ts'
import { STREAMS_PER_CHANNEL } from '../limits.ts'
import { ControlAllowance } from './control-allowance.ts'
import { ALL_FLAGS, Flag, FrameType, GoAwayCode } from './frame.ts'
import { FrameDecoder, type FrameSink } from './frame-decoder.ts'
import { PeerIds } from './peer-ids.ts'
import { MuxStream, type StreamHost } from './raw-stream.ts'
import { RoundTrip } from './round-trip.ts'
import type { RawStream } from './stream.ts'
import type { WindowBudget } from './window-budget.ts'
import { WriteSide } from './write-side.ts'

export interface MuxEvents {
  /**
   * Output is waiting: call `pull` soon (one flush per turn of the event loop). Called once each time output appears after a
   * `pull` that left none. After a `pull` that left some (`outputWaiting`), it is not called: the caller pulls again when there is room.
   */
  outputReady(): void
  /** The peer opened a stream. The callee calls `stream.listen` before it returns; a stream nobody listens to is reset. */
  streamOpened(stream: RawStream): void
  /** A ping was answered; `roundTripMs` is also what window growth goes by. */
  pong(roundTripMs: number): void
  /** The peer opens and accepts nothing further (a `GoAwayCode`). Open streams go on. Called at most once. */
  goAway(code: number): void
  /**
   * The peer broke the protocol (`protocol-violation`), or a listener threw (`internal-error`, with its cause). A GOAWAY is in the
   * output, every stream has heard `reset(fault)`, nothing further is read. Called at most once, and not after `close`.
   */
  violated(fault: TunnelFault): void
}

export interface MuxOptions {
  /** `agent` opens odd ids (the yamux client), `server` even ones. */
  readonly side: 'agent' | 'server'
  readonly events: MuxEvents
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly budget: WindowBudget
  /** Streams the peer may have open at once; one more is answered by a reset. */
  readonly peerStreams: number
  /** Streams this side may have open at once. STREAMS_PER_CHANNEL unless told. */
  readonly ownStreams?: number
  /** The first id this side uses, of its own parity: 1 or 2 unless told. */
  readonly firstId?: number
}

/** Ids are 32 bits and never used twice; a session that has used its own up is replaced by a new one. */
const LAST_ID = 0xffff_ffff

export class Mux implements FrameSink, StreamHost {
  /** While true no stream is opened in either direction (memory is short): `openStream` throws, the peer's are reset. */
  refusing = false
  readonly budget: WindowBudget
  readonly now: () => number
  arrivedAt: number
  readonly #events: MuxEvents
  readonly #peerStreams: number
  readonly #ownStreams: number
  /** `id % 2` of the streams this side opens. */
  readonly #ownParity: number
  readonly #firstId: number
  #nextId: number
  #ownOpen = 0
  #peerOpen = 0
  readonly #streams = new Map<number, MuxStream>()
  readonly #peerIds: PeerIds
  readonly #decoder: FrameDecoder
  readonly #allowance: ControlAllowance
  readonly #roundTrip = new RoundTrip()
  readonly #writeSide: WriteSide
  /** Streams that `pull` made room on; a field so that a flush allocates nothing for it. */
  readonly #roomy: MuxStream[] = []
  #phase: 'open' | 'failed' | 'closed' = 'open'
  #wentAway = false
  #peerWentAway = false
  /** Whose Data frame is being read; undefined: its payload is discarded. */
  #receiver: MuxStream | undefined
  #receiverEnds = false

  constructor(options: MuxOptions) {
    this.budget = options.budget
    this.now = options.now
    this.arrivedAt = options.now()
    this.#events = options.events
    this.#peerStreams = options.peerStreams
    this.#ownStreams = options.ownStreams ?? STREAMS_PER_CHANNEL
    this.#ownParity = options.side === 'agent' ? 1 : 0
    this.#firstId = options.firstId ?? (options.side === 'agent' ? 1 : 2)
    this.#nextId = this.#firstId
    this.#peerIds = new PeerIds(options.side === 'agent' ? 'even' : 'odd')
    this.#decoder = new FrameDecoder(this)
    this.#allowance = new ControlAllowance(this.arrivedAt)
    this.#writeSide = new WriteSide(() => options.events.outputReady())
  }

  /** Streams open in either direction. */
  get openStreams(): number {
    return this.#streams.size
  }

  /** Memory that readers of live streams hold, in bytes: what was received and not yet consumed, and what keeping its pieces costs. */
  get heldBytes(): number {
    let held = 0
    for (const stream of this.#streams.values()) held += stream.receives.held
    return held
  }

  /** Whether a `pull` would bring something, room permitting. */
  get outputWaiting(): boolean {
    return this.#writeSide.waiting
  }

  /** The latest round trip in milliseconds; undefined before the first answered ping. */
  get roundTripMs(): number | undefined {
    return this.#roundTrip.latestMs
  }

  // ── what the channel calls ────────────────────────────────────────────────────────────────────────────────────────

  /** Takes bytes from the transport, in any chunking. Never throws. Streams are delivered slices of `chunk`: it must not be reused. */
  receive(chunk: Buffer): void {
    if (this.#phase !== 'open') return
    this.arrivedAt = this.now()
    try {
      this.#decoder.decode(chunk)
    } catch (error) {
      this.#failInside(error)
    }
  }

  /**
   * The next bytes for the transport, in order: expedited streams, control frames, then streams in turn until `maxBytes` of
   * their payload are reached (the last frame may go beyond). Empty: nothing waits. One piece: one write. Several: one corked
   * write. Not to be called while the transport is over its backlog, nor from inside a listener.
   */
  pull(maxBytes: number): Buffer[] {
    const roomy = this.#roomy
    const pieces = this.#writeSide.pull(maxBytes, roomy)
    try {
      for (let at = 0; at < roomy.length; at++) roomy[at]!.tellRoom()
    } catch (error) {
      this.#failInside(error)
    }
    roomy.length = 0
    return pieces
  }

  /** Opens a stream, which may be written to at once. Throws `streams-exhausted`, or `channel-closed` (GOAWAY either way, closed, ids used up). */
  openStream(): RawStream {
    if (this.#phase !== 'open') throw new TunnelFault('channel-closed')
    if (this.#wentAway || this.#peerWentAway) throw new TunnelFault('channel-closed', 'it is going away')
    if (this.#nextId > LAST_ID) throw new TunnelFault('channel-closed', 'its stream ids are used up')
    if (this.refusing) throw new TunnelFault('streams-exhausted', 'the tunnel holds too much memory')
    if (this.#ownOpen >= this.#ownStreams) throw new TunnelFault('streams-exhausted')
    const stream = new MuxStream(this, this.#nextId, Flag.syn)
    this.#nextId += 2
    this.#ownOpen++
    this.#streams.set(stream.id, stream)
    this.ready(stream)
    return stream
  }

  /**
   * From now on this stream's bytes go before all others and before control frames, RST among them: what it says about another
   * stream arrives before that one's reset. For a stream that says little.
   */
  expedite(stream: RawStream): void {
    const own = this.#streams.get(stream.id)
    if (own !== undefined && own === stream) this.#writeSide.expedite(own)
  }

  /** Measures the round trip; the answer comes as `pong`. A ping that is still under way is not answered any more. */
  ping(): void {
    if (this.#phase !== 'open') return
    this.#queue(FrameType.ping, Flag.syn, 0, this.#roundTrip.start(this.now()))
  }

  /** Tells the peer that this side opens and accepts nothing further. Open streams go on. Harmless when repeated. */
  goAway(code: number): void {
    if (this.#phase !== 'open' || this.#wentAway) return
    this.#wentAway = true
    this.#queue(FrameType.goAway, 0, 0, code)
  }

  /** Resets the stream whose reader has moved nothing for the longest time; it hears `reset`. False if no stream holds anything. */
  resetLongestStalled(): boolean {
    let longest: MuxStream | undefined
    for (const stream of this.#streams.values()) {
      if (stream.receives.unconsumed === 0) continue
      if (longest === undefined || stream.receives.heldSince < longest.receives.heldSince) longest = stream
    }
    longest?.abandon(new TunnelFault('stream-reset', 'its reader stalled while memory was short'), true)
    return longest !== undefined
  }

  /** The transport is gone: every open stream hears `reset(fault)`, nothing further comes out or goes in. Idempotent. */
  close(fault: TunnelFault): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#decoder.stop()
    this.#writeSide.clearControl()
    this.#abandonAll(fault)
  }

  // ── what streams call (StreamHost) ────────────────────────────────────────────────────────────────────────────────

  ready(stream: MuxStream): void {
    this.#writeSide.ready(stream)
  }

  credit(stream: MuxStream): void {
    const now = this.now()
    if (this.#roundTrip.isDue(now)) this.ping()
    const credit = stream.receives.takeCredit(now, this.#roundTrip.latestMs)
    const opening = stream.opening
    stream.opening = 0
    this.#queue(FrameType.windowUpdate, opening, stream.id, credit)
  }

  gone(stream: MuxStream, tellPeer: boolean): void {
    stream.readyIn?.remove(stream)
    if (!this.#streams.delete(stream.id)) return
    if (stream.id % 2 === this.#ownParity) this.#ownOpen--
    else this.#peerOpen--
    const peerKnows = stream.opening !== Flag.syn
    if (tellPeer && peerKnows) this.#queue(FrameType.windowUpdate, Flag.rst, stream.id, 0)
  }

  sentPayload(): void {
    this.#allowance.earn()
  }

  // ── what the decoder calls (FrameSink) ────────────────────────────────────────────────────────────────────────────

  frame(type: number, flags: number, id: number, length: number): void {
    if (flags > ALL_FLAGS) return this.#violate(`flags ${flags}`)
    if (type === FrameType.data) this.#dataFrame(flags, id, length)
    else if (type === FrameType.windowUpdate) this.#windowUpdate(flags, id, length)
    else if (id !== 0) this.#violate(`stream ${id} in a frame of the session`)
    else if (type === FrameType.ping) this.#ping(flags, length)
    else this.#goAway(flags, length)
  }

  payload(chunk: Buffer, from: number, to: number): void {
    const receiver = this.#receiver
    if (receiver?.live) receiver.delivered(chunk, from, to)
  }

  frameEnd(): void {
    if (!this.#receiverEnds) return
    this.#receiverEnds = false
    this.#peerEnded(this.#receiver)
  }

  malformed(detail: string): void {
    this.#violate(detail)
  }

  // ── frames ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #dataFrame(flags: number, id: number, length: number): void {
    const stream = flags === 0 ? this.#streams.get(id) : this.#flagged(flags, id)
    this.#receiver = stream
    this.#receiverEnds = false
    if (stream === undefined) {
      if (!this.#wasOpen(id)) return this.#violate(`data for stream ${id}, which was never opened`)
    } else {
      const broken = stream.announced(length)
      if (broken !== undefined) return this.#violate(`${broken} on stream ${id}`)
      this.#receiverEnds = (flags & Flag.fin) !== 0
    }
    if (length > 0) this.#allowance.earn()
    else this.#charge()
  }

  #windowUpdate(flags: number, id: number, credit: number): void {
    this.#charge()
    const stream = flags === 0 ? this.#streams.get(id) : this.#flagged(flags, id)
    if (stream === undefined) {
      if (!this.#wasOpen(id)) this.#violate(`window update for stream ${id}, which was never opened`)
      return
    }
    if (!stream.credited(credit)) return this.#violate(`window of stream ${id} beyond 32 bits`)
    if (flags & Flag.fin) this.#peerEnded(stream)
  }

  /** SYN and RST; ACK asks for nothing, since nobody waits for it. Returns the stream, if it is open afterwards. */
  #flagged(flags: number, id: number): MuxStream | undefined {
    if (flags & Flag.syn) this.#accept(id)
    const stream = this.#streams.get(id)
    if (stream === undefined || !(flags & Flag.rst)) return stream
    this.#charge()
    stream.abandon(new TunnelFault('stream-reset'), false)
    return undefined
  }

  #accept(id: number): void {
    if (id === 0) return this.#violate('SYN for stream 0')
    if (id % 2 === this.#ownParity) return this.#violate(`SYN for stream ${id}, whose parity is ours`)
    if (!this.#peerIds.use(id)) return this.#violate(`second SYN for stream ${id}`)
    if (this.#wentAway || this.refusing || this.#peerOpen >= this.#peerStreams) {
      this.#charge()
      this.#queue(FrameType.windowUpdate, Flag.rst, id, 0)
      return
    }
    const stream = new MuxStream(this, id, Flag.ack)
    this.#peerOpen++
    this.#streams.set(id, stream)
    this.ready(stream)
    this.#events.streamOpened(stream)
    if (!stream.heard) stream.reset()
  }

  #peerEnded(stream: MuxStream | undefined): void {
    const broken = stream?.peerEnded()
    if (broken !== undefined) this.#violate(`${broken} on stream ${stream?.id}`)
  }

  #ping(flags: number, value: number): void {
    this.#charge()
    if (flags === Flag.syn) return this.#queue(FrameType.ping, Flag.ack, 0, value)
    if (flags !== Flag.ack) return this.#violate(`ping with flags ${flags}`)
    const roundTripMs = this.#roundTrip.answer(value, this.now())
    if (roundTripMs !== undefined) this.#events.pong(roundTripMs)
  }

  #goAway(flags: number, code: number): void {
    this.#charge()
    if (flags !== 0) return this.#violate(`GOAWAY with flags ${flags}`)
    if (this.#peerWentAway) return
    this.#peerWentAway = true
    this.#events.goAway(code)
  }

  // ── the rest ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a frame of a stream that is not open may still come in good faith: the peer may not know yet that it is gone. */
  #wasOpen(id: number): boolean {
    if (id % 2 !== this.#ownParity) return this.#peerIds.wasUsed(id)
    return id >= this.#firstId && id < this.#nextId
  }

  #queue(type: number, flags: number, id: number, length: number): void {
    if (this.#phase !== 'open') return
    if (!this.#writeSide.control(type, flags, id, length)) this.#violate('it does not read what it is sent')
  }

  #charge(): void {
    if (!this.#allowance.spend(this.now)) this.#violate('a flood of frames without payload')
  }

  #violate(detail: string): void {
    this.#fail(new TunnelFault('protocol-violation', detail), GoAwayCode.protocolError)
  }

  #failInside(error: unknown): void {
    const fault = new TunnelFault('internal-error', 'a listener of a stream threw', { cause: error })
    this.#fail(fault, GoAwayCode.internalError)
  }

  #fail(fault: TunnelFault, code: number): void {
    if (this.#phase !== 'open') return
    this.#phase = 'failed'
    this.#decoder.stop()
    this.#writeSide.clearControl()
    this.#abandonAll(fault)
    this.#writeSide.control(FrameType.goAway, 0, 0, code)
    this.#events.violated(fault)
  }

  /** Every stream hears it, whatever a listener does; what one throws surfaces as any exception in an event handler would. */
  #abandonAll(fault: TunnelFault): void {
    for (const stream of [...this.#streams.values()]) {
      try {
        stream.abandon(fault, false)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
