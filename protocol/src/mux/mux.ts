/** Many streams over one ordered flow of bytes: bytes in, events and bytes out. Has never heard of a socket. */
import type { TunnelFault } from '../fault.ts'
import type { RawStream } from './stream.ts'
import type { WindowBudget } from './window-budget.ts'

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

export class Mux {
  constructor(_options: MuxOptions) {
    throw new Error('being written')
  }

  /** Streams open in either direction. */
  declare readonly openStreams: number
  /** Bytes received on live streams and not yet consumed, with what each piece of them costs to keep. */
  declare readonly heldBytes: number
  /** Whether the last `pull` left output behind or some has come since. */
  declare readonly outputWaiting: boolean
  /** The latest round trip in milliseconds; undefined before the first answered ping. */
  declare readonly roundTripMs: number | undefined
  /** While true no stream is opened in either direction (memory is short): `openStream` throws, the peer's are reset. */
  declare refusing: boolean

  /** Takes bytes from the transport, in any chunking. Never throws. Streams are delivered slices of `chunk`: it must not be reused. */
  declare receive: (chunk: Buffer) => void
  /**
   * The next bytes for the transport, in order: expedited streams, control frames, then streams in turn until `maxBytes` of their
   * payload are reached (the last frame may go beyond). The array is reused: hand it on before the next call. Empty: nothing waits.
   * Not to be called while the transport is over its backlog. One piece: one write. Several: one corked write.
   */
  declare pull: (maxBytes: number) => readonly Buffer[]
  /** Opens a stream; may be written to at once. Throws `streams-exhausted`, or `channel-closed` (GOAWAY either way, closed, ids used up). */
  declare openStream: () => RawStream
  /** From now on this stream's bytes go before all others and before control frames: what it says of another stream arrives before that one's reset. */
  declare expedite: (stream: RawStream) => void
  /** Measures the round trip; the answer comes as `pong`. */
  declare ping: () => void
  /** Tells the peer that this side opens and accepts nothing further. Open streams go on. */
  declare goAway: (code: number) => void
  /** Resets the stream whose reader has moved nothing for the longest time; it hears `reset`. False if no stream holds anything. */
  declare resetLongestStalled: () => boolean
  /** The transport is gone: every open stream hears `reset(fault)`, nothing further comes out or goes in. Idempotent. */
  declare close: (fault: TunnelFault) => void
}
