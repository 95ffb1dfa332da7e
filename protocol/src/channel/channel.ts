/** One channel: a secured socket with a multiplexer on it, its heartbeat and its end. Knows nothing of tickets, tunnels or HTTP. */
import type tls from 'node:tls'
import type { TunnelFault } from '../fault.ts'
import type { RawStream } from '../mux/stream.ts'

export type ChannelState =
  | { readonly kind: 'open' }
  /** GOAWAY went or came: no new streams. */
  | { readonly kind: 'closing'; readonly by: 'us' | 'peer' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'lost'; readonly fault: TunnelFault }

/** Exactly one of `closed` and `lost` comes, once, and nothing after it. Streams still open hear `reset` first. */
export interface ChannelEvents {
  /** The peer opened a stream; listen to it before returning. */
  streamOpened?(stream: RawStream): void
  /** The peer will take no new streams and is about to close. */
  goAway?(): void
  /** The orderly end: GOAWAY sent and answered. */
  closed?(): void
  lost(fault: TunnelFault): void
}

export interface ChannelOptions {
  /** As `acceptOpening` or `openChannel` gave it. The channel owns it from now on. */
  readonly socket: tls.TLSSocket
  readonly side: 'agent' | 'server'
  /** The window budget shared by all channels of the process. */
  readonly budget: unknown
  /** Milliseconds of a monotonic clock. */
  now(): number
  readonly events: ChannelEvents
  /** Streams that the peer may have open at once: 1 on the server (the control stream), STREAMS_PER_CHANNEL on the agent. */
  readonly peerStreams: number
}

export declare class Channel {
  constructor(options: ChannelOptions)
  get state(): ChannelState
  /** Whether `openStream` may be called. */
  get takesStreams(): boolean
  /** Milliseconds of the latest ping; undefined until the first has come back. */
  get roundTripMs(): number | undefined
  /** Milliseconds since the channel was made. */
  get age(): number
  get bytesIn(): number
  get bytesOut(): number
  /** Streams open now, both sides' and the control stream. */
  get streams(): number
  /** Throws `channel-closed` if closing or ended, `streams-exhausted` at the peer's ceiling. */
  openStream(): RawStream
  /** GOAWAY, what is queued, the peer's answer, the end: at most CLOSE_GRACE_MS, then the socket is destroyed. Resolves at the end; never rejects. */
  close(): Promise<void>
  /** Ends at once: every stream is reset with `fault`, and so is the channel (`lost`). Harmless when repeated. */
  destroy(fault: TunnelFault): void
}
