/** The visitor's side of one request: an HTTP/1 connection, an HTTP/2 stream, or a stream of a peer. */
import type { TunnelFault } from '@postern/protocol/fault'
import type { TrustedProxies } from './visitor.ts'

/** How a request leaves its downstream. */
export type Ending =
  /** The response was taken whole, and another request may follow on this connection. */
  | 'keep-alive'
  /** The response was taken whole, and is the last of its connection. */
  | 'close'
  /** A part of the response went out, or may have: the downstream must show that the rest is missing. */
  | 'cut'
  /** The visitor left before the response had been taken. */
  | 'abandoned'
  /** Nothing went out, and the visitor is to repeat the request over HTTP/1.1 (RFC 9113 §7, HTTP_1_1_REQUIRED). */
  | 'http1-required'

export interface Downstream {
  /** The address at the other end. */
  readonly clientAddress: string
  /** The key by which that address is counted. */
  readonly addressKey: string
  /** Where present, the other end is one of these proxies, and a request's fields say whose it is. */
  readonly proxies?: TrustedProxies | undefined
  /** The version by which requests come, where their heads do not show it. */
  readonly receivedBy?: '2.0' | undefined
  /** Whether requests come from a peer, which has written the fields that a node adds. */
  readonly fromPeer?: boolean
  /** Whether a request may wait for its agent or for a stream. */
  readonly mayWait: boolean
  /** Whether another request may follow on this connection. */
  readonly mayKeepAlive: boolean
  /** Whether a stream to the local server can belong to this connection alone, beyond one request. */
  readonly bindsStreams: boolean
  /**
   * Where present, asked before a request is sent. Undefined: it may be. Otherwise the visitor leaves too much unread on this connection: `ready` is called
   * once when it does no longer, and the answer is the leaving.
   */
  defer?(ready: () => void): (() => void) | undefined
  /** The largest header list that the visitor takes in a response, in bytes as RFC 9113 §6.5.2 counts them; undefined where there is no such limit. */
  readonly mostListBytes?: number | undefined
  /** Takes bytes of the response. True: none of them waits in this process. False: `ProxyRequest.drained` follows when none does. */
  write(bytes: Buffer): boolean
  /** Whether the visitor has taken a part of what waits since the last time, or since something waits. */
  progressed(): boolean
  /** Ends the direction to the visitor; the other one goes on. */
  endWriting(): void
  /** Whether bytes of the request are wanted. What waits is delivered at once. */
  setReading(on: boolean): void
  /** These bytes of the request were delivered and are to be delivered again, before all others. */
  putBack(pieces: readonly Buffer[]): void
  /** Shows a reset that the visitor has sent while nothing is read. */
  probe(): void
  /** Expires the request unless it is called again before; milliseconds from now, Infinity for never. */
  expireIn(ms: number): void
  /** The last call for a request. */
  done(ending: Ending): void
  /** Where present, a fault is handed back instead of being answered; `done` does not follow. */
  returnFault?(fault: TunnelFault): void
}
