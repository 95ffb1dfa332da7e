/** One channel: a secured socket with a multiplexer on it, and how it ends. */
import type tls from 'node:tls'
import { TunnelFault } from '../fault.ts'
import { CLOSE_GRACE_MS, SOCKET_BACKLOG_BYTES, STREAMS_PER_CHANNEL } from '../limits.ts'
import { GoAwayCode, Mux, type RawStream, type WindowBudget } from '../mux/index.ts'
import { onBytes } from '../socket/index.ts'
import { Heartbeat } from './heartbeat.ts'
import { ReadPause } from './read-pause.ts'

/** Less room than one frame is not worth a write. */
const SMALLEST_PULL_BYTES = 16 * 1024

export type ChannelState =
  | { readonly kind: 'open' }
  /** GOAWAY went or came: no new streams. */
  | { readonly kind: 'closing'; readonly by: 'us' | 'peer' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'lost'; readonly fault: TunnelFault }

/** Exactly one of `closed` and `lost` comes, once, and nothing after it. Streams still open have heard `reset` by then. */
export interface ChannelEvents {
  /** The peer opened a stream; listen to it before returning. */
  streamOpened?(stream: RawStream): void
  /** A stream is gone, and its place free. */
  streamGone?(): void
  /** A listener of a stream threw; its stream is reset, and the channel goes on. */
  streamCrashed?(fault: TunnelFault): void
  /** The peer takes no new streams and is about to close. */
  goAway?(): void
  /** The orderly end: GOAWAY said and answered, or `close` was called. */
  closed?(): void
  lost(fault: TunnelFault): void
}

export interface ChannelOptions {
  /** As `acceptOpening` or `openChannel` gave it. The channel owns it from now on. */
  readonly socket: tls.TLSSocket
  readonly side: 'agent' | 'server'
  /** Shared by all channels of the process. */
  readonly budget: WindowBudget
  /** Whose channels share in the budget together; without it the channel has a share of its own. */
  readonly tenant?: string
  /** Milliseconds of a monotonic clock. */
  now(): number
  readonly events: ChannelEvents
  /** Streams that the peer may have open at once: 1 on the server (the control stream), STREAMS_PER_CHANNEL on the agent. */
  readonly peerStreams: number
  /** Streams that this side may have open at once; STREAMS_PER_CHANNEL unless told. */
  readonly ownStreams?: number
}

/** GOAWAY in each direction. */
interface GoodBye {
  said: boolean
  heard: boolean
}

export class Channel {
  readonly #socket: tls.TLSSocket
  readonly #mux: Mux
  readonly #events: ChannelEvents
  readonly #now: () => number
  readonly #madeAt: number
  readonly #heartbeat: Heartbeat
  readonly #stopReading: () => void
  readonly #readPause: ReadPause
  readonly #goodBye: GoodBye = { said: false, heard: false }
  #state: ChannelState = { kind: 'open' }
  #peerCode: number = GoAwayCode.normal
  #cause: Error | undefined
  #flushDue = false
  #grace: NodeJS.Timeout | undefined
  #closed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #bytesIn = 0
  #bytesOut = 0
  #awaitingPong: (() => void)[] = []

  constructor(options: ChannelOptions) {
    const { socket, side, budget, tenant, now, events, peerStreams, ownStreams = STREAMS_PER_CHANNEL } = options
    this.#socket = socket
    this.#events = events
    this.#now = now
    this.#madeAt = now()
    this.#mux = new Mux({
      side,
      now,
      budget,
      ...(tenant !== undefined && { tenant }),
      peerStreams,
      ownStreams,
      events: {
        outputReady: () => this.#flushSoon(),
        streamOpened: (stream) => {
          // The one stream that an agent may open is its control stream: why it is refused must arrive before the GOAWAY.
          if (side === 'server' && peerStreams === 1) this.#mux.expedite(stream)
          events.streamOpened?.(stream)
        },
        streamGone: () => events.streamGone?.(),
        streamCrashed: (fault) => events.streamCrashed?.(fault),
        pong: () => this.#roundTripDone(),
        goAway: (code) => this.#heardGoAway(code),
        violated: (fault) => this.#violated(fault),
      },
    })
    this.#heartbeat = new Heartbeat({
      ping: () => {
        this.#mux.sweep()
        this.#mux.ping()
      },
      received: () => this.#bytesIn,
      silent: () => this.destroy(new TunnelFault('channel-lost', 'The other end has fallen silent.')),
    })
    this.#readPause = new ReadPause(socket, () =>
      this.destroy(new TunnelFault('protocol-violation', 'It does not read what it is sent.')),
    )
    socket.on('error', this.#onError)
    socket.on('close', this.#onEnd)
    socket.on('end', this.#onEnd)
    this.#stopReading = onBytes(socket, this.#onData)
    // Whoever makes a channel over a socket that has just gone hears of it like of any other loss: later, once.
    if (socket.destroyed) setImmediate(this.#onEnd)
  }

  get state(): ChannelState {
    return this.#state
  }

  /** Whether `openStream` may be called. */
  get takesStreams(): boolean {
    return this.#state.kind === 'open' && !this.#mux.refusing
  }

  /** Milliseconds of the latest ping; undefined until the first has come back. */
  get roundTripMs(): number | undefined {
    return this.#mux.roundTripMs
  }

  /** Milliseconds since the channel was made. */
  get age(): number {
    return this.#now() - this.#madeAt
  }

  /** Bytes received, before TLS counts its own. */
  get bytesIn(): number {
    return this.#bytesIn
  }

  /** Bytes handed to TLS. */
  get bytesOut(): number {
    return this.#bytesOut
  }

  /** Streams open now, the control stream among them. */
  get streams(): number {
    return this.#mux.openStreams
  }

  /** Whether this stream is open. */
  has(streamId: number): boolean {
    return this.#mux.has(streamId)
  }

  /** Bytes received and not yet consumed, or written and not yet sent, for `judgeHeld`. */
  get heldBytes(): number {
    return this.#mux.heldBytes
  }

  /** Whether new streams are refused because memory is short; set by whoever judges. */
  get refusing(): boolean {
    return this.#mux.refusing
  }

  set refusing(refusing: boolean) {
    this.#mux.refusing = refusing
  }

  /** As `Mux.eachHeld`: what `heldBytes` is made of. */
  eachHeld(visit: (stream: RawStream, heldBytes: number) => void): void {
    this.#mux.eachHeld(visit)
  }

  /** Resets the stream in which nothing has moved for the longest time. False if none holds anything. @param among all streams unless given */
  resetLongestStalled(among?: (stream: RawStream) => boolean): boolean {
    return this.#mux.resetLongestStalled(among)
  }

  /** Throws `channel-closed` if closing or ended, `streams-exhausted` at the ceiling. */
  openStream(): RawStream {
    if (this.#state.kind !== 'open') throw new TunnelFault('channel-closed')
    return this.#mux.openStream()
  }

  /** The control stream of whichever side has one: what is said on it arrives before whatever the other streams have queued. Throws as `openStream`. */
  openControlStream(): RawStream {
    const stream = this.openStream()
    this.#mux.expedite(stream)
    return stream
  }

  /** Asks the peer for a sign of life, which shows in `bytesIn`. */
  ping(): void {
    if (!this.#ended) this.#mux.ping()
  }

  /** Resolves when the peer has answered a ping that left behind all that was said on the control stream, or when the channel is over. */
  roundTrip(): Promise<void> {
    if (this.#ended) return Promise.resolve()
    this.#mux.ping()
    return new Promise((resolve) => this.#awaitingPong.push(resolve))
  }

  /** GOAWAY, what is queued, the peer's answer, the end; after CLOSE_GRACE_MS the socket is destroyed. Resolves at the end, never rejects. */
  close(): Promise<void> {
    if (this.#ended) return Promise.resolve()
    this.#closed ??= deferred()
    if (!this.#goodBye.said) this.#sayGoAway()
    this.#state = { kind: 'closing', by: 'us' }
    this.#graceBegins()
    this.#flushSoon()
    return this.#closed.promise
  }

  /** Ends at once: every stream is reset with `fault`, the channel is lost with it. Harmless when repeated. */
  destroy(fault: TunnelFault): void {
    this.#cut({ kind: 'lost', fault })
    this.#socket.destroy()
  }

  get #ended(): boolean {
    return this.#state.kind === 'closed' || this.#state.kind === 'lost'
  }

  /** The multiplexer reports the answer to its latest ping only, so it is never that of a ping before ours. */
  #roundTripDone(): void {
    const waiting = this.#awaitingPong
    this.#awaitingPong = []
    for (const resolve of waiting) resolve()
  }

  #sayGoAway(): void {
    this.#goodBye.said = true
    this.#mux.goAway(GoAwayCode.normal)
  }

  #heardGoAway(code: number): void {
    this.#goodBye.heard = true
    this.#peerCode = code
    if (!this.#goodBye.said) {
      this.#sayGoAway()
      this.#state = { kind: 'closing', by: 'peer' }
      this.#events.goAway?.()
    }
    this.#flushSoon()
  }

  /** Every stream has heard of it already. The GOAWAY that names it still goes, in a turn of its own; nothing is read any more. */
  #violated(fault: TunnelFault): void {
    if (this.#ended) return
    this.#finish({ kind: 'lost', fault })
    this.#socket.resume()
    setImmediate(() => {
      if (this.#socket.destroyed) return
      this.#write()
      this.#socket.end()
      this.#graceBegins()
    })
  }

  #graceBegins(): void {
    this.#grace ??= setTimeout(() => {
      this.#cut({ kind: 'closed' })
      this.#socket.destroy()
    }, CLOSE_GRACE_MS)
  }

  /** Nothing goes or comes any more. */
  #cut(state: ChannelState & { kind: 'closed' | 'lost' }): void {
    if (this.#ended) return
    this.#mux.close(state.kind === 'lost' ? state.fault : new TunnelFault('channel-closed'))
    this.#finish(state)
  }

  #finish(state: ChannelState & { kind: 'closed' | 'lost' }): void {
    if (this.#ended) return
    this.#state = state
    this.#heartbeat.stop()
    clearTimeout(this.#grace)
    this.#grace = undefined
    this.#readPause.cancel()
    this.#stopReading()
    if (state.kind === 'lost') this.#events.lost(state.fault)
    else this.#events.closed?.()
    this.#closed?.resolve()
    this.#roundTripDone()
  }

  #flushSoon(): void {
    if (this.#flushDue) return
    this.#flushDue = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushDue = false
    if (this.#ended) return
    this.#write()
    const answered = this.#goodBye.said && this.#goodBye.heard
    if (this.#closed && answered && !this.#mux.outputWaiting && !this.#socket.writableEnded) this.#socket.end()
  }

  /** All that waits, in one write, unless the socket already has enough: a TLSSocket would take 128 MiB. */
  #write(): void {
    const room = SOCKET_BACKLOG_BYTES - this.#socket.writableLength
    if (room < SMALLEST_PULL_BYTES || this.#socket.destroyed || this.#socket.writableEnded) return
    const pieces = this.#mux.pull(room)
    if (!this.#mux.congested) this.#readPause.end()
    const last = pieces.length - 1
    if (last < 0) return
    if (last > 0) this.#socket.cork()
    for (let i = 0; i <= last; i += 1) {
      const piece = pieces[i]!
      this.#bytesOut += piece.length
      if (i < last) this.#socket.write(piece)
      else this.#socket.write(piece, this.#onWritten)
    }
    if (last > 0) this.#socket.uncork()
  }

  readonly #onWritten = (): void => {
    if (this.#mux.outputWaiting) this.#flushSoon()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytesIn += chunk.length
    this.#mux.receive(chunk)
    if (this.#mux.congested && !this.#ended) this.#readPause.begin()
  }

  readonly #onError = (error: Error): void => {
    this.#cause = error
  }

  /** The end of the socket means nothing by itself (anybody on the path can send a FIN): only an answered GOAWAY makes it orderly. */
  readonly #onEnd = (): void => {
    this.#socket.destroy()
    clearTimeout(this.#grace)
    if (this.#closed || (this.#goodBye.said && this.#goodBye.heard && this.#peerCode === GoAwayCode.normal))
      return this.#cut({ kind: 'closed' })
    const detail =
      this.#peerCode === GoAwayCode.normal ? undefined : `The other end gave up with GOAWAY ${this.#peerCode}.`
    this.#cut({ kind: 'lost', fault: new TunnelFault('channel-lost', detail, { cause: this.#cause }) })
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
