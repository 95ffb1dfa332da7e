/** What one multiplexed stream looks like to whoever uses it. Knows nothing of frames, windows or channels. */
import type { TunnelFault } from '../fault.ts'

/**
 * What happens on a stream. Exactly one of these two endings comes: `end` (the peer's FIN, after all of its data) or
 * `reset` (nothing further comes, in either direction; what was read so far is not the whole).
 */
export interface StreamListener {
  /** Bytes from the peer, to be given back to its window by `consume` once they have moved on. The listener may keep the buffer. */
  data(chunk: Buffer): void
  end(): void
  reset(why: TunnelFault): void
  /** `write` answered false before; the stream has room again. */
  writable(): void
}

/** Bytes both ways with back-pressure; each direction ends by itself. Implemented by a mux stream and by a plain socket. */
export interface ByteStream {
  /** Sets who hears of this stream from now on; the former listener hears nothing more. */
  listen(listener: StreamListener): void
  /** Queues bytes; the stream owns the buffer from then on. False: enough for now, wait for `writable`. Ignored after `end` or a reset. */
  write(chunk: Buffer): boolean
  /** No more writing (FIN). Reading goes on. */
  end(): void
  /** Abandons both directions, but not what was written before `end`: that, and the end, still go. Harmless when repeated; the own listener is not called. */
  reset(): void
  /** `bytes` of what `data` delivered have moved on: the peer may send as many again. */
  consume(bytes: number): void
}

/** A `ByteStream` that is one of many on a channel. */
export interface RawStream extends ByteStream {
  /** The yamux stream id: odd if the agent opened it, even if the data plane did. */
  readonly id: number
  /** From now on `write` answers false as soon as bytes wait in the stream, and `writable` follows when none do. */
  awaitEmpty?(): void
}
