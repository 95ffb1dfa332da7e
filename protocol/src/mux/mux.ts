/** Many streams over one ordered flow of bytes: bytes in, events and bytes out. */
import { TunnelFault } from '../fault.ts'
import { BODY_IDLE_MS, CONTROL_BACKLOG_FRAMES, STREAMS_PER_CHANNEL } from '../limits.ts'
import { ControlAllowance } from './control-allowance.ts'
import { Flag, FrameType, GoAwayCode } from './frame.ts'
import { Inbound, type Session } from './inbound.ts'
import { MuxStream, type StreamHost } from './raw-stream.ts'
import { RoundTrip } from './round-trip.ts'
import type { RawStream } from './stream.ts'
import { StreamTable } from './stream-table.ts'
import type { WindowBudget } from './window-budget.ts'
import { WriteSide } from './write-side.ts'

export interface MuxEvents {
  /**
   * Output is waiting: call `pull` soon (one flush per turn of the event loop). Called once each time output appears after a
   * `pull` that left none, or after all that was left has gone with its streams. After a `pull` that left some (`outputWaiting`), it is
   * not called: the caller pulls again when there is room.
   */
  outputReady(): void
  /** The peer opened a stream. The callee calls `stream.listen` before it returns; a stream nobody listens to is reset. */
  streamOpened(stream: RawStream): void
  /** A stream is gone, and its place free. */
  streamGone?(): void
  /** A listener threw (`internal-error`, with its cause). Its stream is reset, and nothing else ends. */
  streamCrashed?(fault: TunnelFault): void
  /** A ping was answered; `roundTripMs` is also what window growth goes by. */
  pong(roundTripMs: number): void
  /** The peer opens and accepts nothing further (a `GoAwayCode`). Open streams go on. Called at most once. */
  goAway(code: number): void
  /**
   * The peer broke the protocol (`protocol-violation`), or this session has a defect (`internal-error`, with its cause). A GOAWAY is in the
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
  /** Whose sessions share in the budget together; without it the session has a share of its own. */
  readonly tenant?: string
  /** Streams the peer may have open at once; one more is answered by a reset. */
  readonly peerStreams: number
  /** Streams this side may have open at once. STREAMS_PER_CHANNEL unless told. */
  readonly ownStreams?: number
  /** The first id this side uses, of its own parity: 1 or 2 unless told. */
  readonly firstId?: number
}

/** ACK, FIN and RST: what the peer of an opener sends besides data, in frames of their own. */
const ANSWERS_TO_SYN = 3

export class Mux {
  readonly #events: MuxEvents
  readonly #now: () => number
  readonly #streams: StreamTable
  readonly #inbound: Inbound
  readonly #writeSide: WriteSide
  readonly #allowance: ControlAllowance
  /** Answers to the peer that may wait before it is to be read no further. */
  readonly #mostAnswers: number
  readonly #roundTrip = new RoundTrip()
  readonly #host: StreamHost & { arrivedAt: number }
  /** Streams that `pull` made room on; a field so that a flush allocates nothing for it. */
  readonly #roomy: MuxStream[] = []
  #phase: 'open' | 'failed' | 'closed' = 'open'
  #wentAway = false
  #peerWentAway = false

  constructor(options: MuxOptions) {
    const { events, now, budget, tenant, side, peerStreams, ownStreams = STREAMS_PER_CHANNEL, firstId } = options
    const allowance = new ControlAllowance(now())
    const writeSide = new WriteSide(() => events.outputReady())
    const session: Session = {
      now,
      accept: (id) => this.#accept(id),
      refuse: (id) => this.#refuse(id),
      ping: (value) => this.#queue(FrameType.ping, Flag.ack, 0, value),
      pong: (value) => this.#pong(value),
      goAway: (code) => this.#hearGoAway(code),
      violate: (rule) => this.#violate(rule),
    }
    this.#events = events
    this.#now = now
    this.#writeSide = writeSide
    this.#allowance = allowance
    this.#mostAnswers = CONTROL_BACKLOG_FRAMES + peerStreams
    this.#streams = new StreamTable({ side, ownStreams, peerStreams, firstId })
    this.#inbound = new Inbound(session, this.#streams, allowance)
    this.#host = {
      windows: budget.share(tenant),
      now,
      arrivedAt: now(),
      ready: (stream) => writeSide.ready(stream),
      crashed: (fault) => events.streamCrashed?.(fault),
      credit: (stream) => this.#credit(stream),
      delivers: (stream) => {
        if (this.#streams.isOwn(stream.id)) this.#streams.delivering.add(stream)
      },
      gone: (stream, tellPeer) => this.#gone(stream, tellPeer),
      sentPayload: () => allowance.earn(1),
    }
  }

  /** Streams open in either direction. */
  get openStreams(): number {
    return this.#streams.size
  }

  /**
   * Memory that live streams hold, in bytes: received and not yet consumed, or written and not yet sent, and what keeping the pieces costs. What was
   * written to streams of the peer's is the answer of another stream, which counts it until it has left.
   */
  get heldBytes(): number {
    let held = 0
    for (const stream of this.#streams.values()) held += this.#heldBy(stream)
    return held
  }

  /** Calls back for each live stream that holds memory, with that memory in bytes. */
  eachHeld(visit: (stream: RawStream, heldBytes: number) => void): void {
    for (const stream of this.#streams.values()) {
      const held = this.#heldBy(stream)
      if (held > 0) visit(stream, held)
    }
  }

  /** Whether a `pull` would bring something, room permitting. */
  get outputWaiting(): boolean {
    return this.#writeSide.waiting
  }

  /**
   * Whether so many answers wait for the peer that nothing more of it should be passed to `receive` until a `pull` has taken them. A peer that is
   * read on all the same, and reads nothing itself, would fill the memory.
   */
  get congested(): boolean {
    return this.#writeSide.answers > this.#mostAnswers
  }

  /** Whether this stream is open. */
  has(id: number): boolean {
    return this.#streams.get(id) !== undefined
  }

  /** The latest round trip in milliseconds; undefined before the first answered ping. */
  get roundTripMs(): number | undefined {
    return this.#roundTrip.latestMs
  }

  /** While true no stream is opened in either direction (memory is short): `openStream` throws, the peer's are reset. */
  get refusing(): boolean {
    return this.#streams.refusing
  }

  set refusing(refusing: boolean) {
    this.#streams.refusing = refusing
  }

  /** Takes bytes from the transport, in any chunking. Never throws. Streams are delivered slices of `chunk`: it must not be reused. */
  receive(chunk: Buffer): void {
    if (this.#phase !== 'open') return
    this.#host.arrivedAt = this.#now()
    try {
      this.#inbound.receive(chunk)
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
    for (let at = 0; at < roomy.length; at++) roomy[at]!.tellRoom()
    if (roomy.length > 0) roomy.length = 0
    return pieces
  }

  /** Opens a stream, which may be written to at once. Throws `streams-exhausted`, or `channel-closed` (GOAWAY either way, closed, ids used up). */
  openStream(): RawStream {
    if (this.#phase !== 'open') throw new TunnelFault('channel-closed')
    if (this.#wentAway || this.#peerWentAway) throw new TunnelFault('channel-closed', 'it is going away')
    const id = this.#streams.takeOwnId()
    this.#allowance.earn(ANSWERS_TO_SYN)
    return this.#begin(id, Flag.syn)
  }

  /**
   * From now on this stream's bytes go before all others and before control frames. No RST leaves before bytes that this stream was given earlier,
   * even if they wait for the peer's window: what it says about another stream arrives before that one's reset. For one stream, which says little.
   */
  expedite(stream: RawStream): void {
    const own = this.#streams.get(stream.id)
    if (own !== undefined && own === stream) this.#writeSide.expedite(own)
  }

  /** Measures the round trip; the answer comes as `pong`. A ping that is still under way is not answered any more. */
  ping(): void {
    this.#allowance.earn(1)
    this.#queue(FrameType.ping, Flag.syn, 0, this.#roundTrip.start(this.#now()))
  }

  /** Resets streams of our own that nobody uses and of which nothing has left for BODY_IDLE_MS. Called now and then. */
  sweep(): void {
    if (this.#streams.delivering.size === 0) return
    const expired = this.#now() - BODY_IDLE_MS
    for (const stream of [...this.#streams.delivering])
      if (stream.stalledSince < expired) stream.abandon(new TunnelFault('stream-reset', 'its peer took nothing'), true)
  }

  /** Tells the peer that this side opens and accepts nothing further. Open streams go on. Harmless when repeated. */
  goAway(code: number): void {
    if (this.#wentAway) return
    this.#wentAway = true
    this.#queue(FrameType.goAway, 0, 0, code)
  }

  /** Resets the stream in which nothing has moved for the longest time; it hears `reset`. False if no stream holds anything. @param among all streams unless given */
  resetLongestStalled(among?: (stream: RawStream) => boolean): boolean {
    let longest: MuxStream | undefined
    let since = Infinity
    for (const stream of this.#streams.values()) {
      const stalledSince = this.#streams.isOwn(stream.id) ? stream.stalledSince : stream.unreadSince
      if (stalledSince >= since || among?.(stream) === false) continue
      longest = stream
      since = stalledSince
    }
    longest?.abandon(new TunnelFault('stream-reset', 'it stalled while memory was short'), true)
    return longest !== undefined
  }

  /** The transport is gone: every open stream hears `reset(fault)`, nothing further comes out or goes in. Idempotent. */
  close(fault: TunnelFault): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#inbound.stop()
    this.#writeSide.clearControl()
    this.#abandonAll(fault)
  }

  #heldBy(stream: MuxStream): number {
    return this.#streams.isOwn(stream.id) ? stream.held : stream.heldReceived
  }

  #begin(id: number, opening: number): MuxStream {
    const stream = new MuxStream(this.#host, id, opening)
    this.#streams.add(stream)
    this.#writeSide.ready(stream)
    return stream
  }

  #refuse(id: number): void {
    this.#queue(FrameType.windowUpdate, Flag.rst, id, 0)
  }

  #accept(id: number): void {
    if (this.#wentAway || this.#streams.refusing) return this.#refuse(id)
    const stream = this.#begin(id, Flag.ack)
    try {
      this.#events.streamOpened(stream)
    } catch (error) {
      stream.crashed(error)
    }
    if (!stream.heard) stream.reset()
  }

  #credit(stream: MuxStream): void {
    const now = this.#now()
    if (this.#roundTrip.isDue(now)) this.ping()
    const credit = stream.receives.takeCredit(now, this.#roundTrip.latestMs)
    if (credit === 0) return
    const opening = stream.opening
    stream.opening = 0
    this.#queue(FrameType.windowUpdate, opening, stream.id, credit)
  }

  #gone(stream: MuxStream, tellPeer: boolean): void {
    this.#writeSide.gone(stream)
    const wasOpen = this.#streams.remove(stream)
    if (wasOpen) this.#events.streamGone?.()
    const peerKnows = stream.opening !== Flag.syn
    if (wasOpen && tellPeer && peerKnows) this.#queue(FrameType.windowUpdate, Flag.rst, stream.id, 0)
  }

  #pong(value: number): void {
    const roundTripMs = this.#roundTrip.answer(value, this.#now())
    if (roundTripMs !== undefined) this.#events.pong(roundTripMs)
  }

  #hearGoAway(code: number): void {
    if (this.#peerWentAway) return
    this.#peerWentAway = true
    this.#events.goAway(code)
  }

  /**
   * What concerns streams of our own is bounded by their number, because none can be opened while the peer reads nothing. All else the peer can
   * cause by what it sends.
   */
  #queue(type: number, flags: number, id: number, length: number): void {
    if (this.#phase === 'open') this.#writeSide.control(type, flags, id, length, !this.#streams.isOwn(id))
  }

  #violate(rule: string): void {
    this.#fail(new TunnelFault('protocol-violation', rule), GoAwayCode.protocolError)
  }

  #failInside(error: unknown): void {
    const fault = new TunnelFault('internal-error', undefined, { cause: error })
    this.#fail(fault, GoAwayCode.internalError)
  }

  #fail(fault: TunnelFault, code: number): void {
    if (this.#phase !== 'open') return
    this.#phase = 'failed'
    this.#inbound.stop()
    this.#writeSide.clearControl()
    this.#abandonAll(fault)
    this.#writeSide.control(FrameType.goAway, 0, 0, code, false)
    this.#events.violated(fault)
  }

  /** Every stream hears it, whatever a listener does. */
  #abandonAll(fault: TunnelFault): void {
    for (const stream of [...this.#streams.values()]) stream.abandon(fault, false)
  }
}
