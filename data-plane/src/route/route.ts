/** How a request gets a stream to a local server, wherever that server's channel is. Knows nothing of HTTP. */
import type { NoticeKind } from '@postern/protocol/channel'
import type { TunnelFault } from '@postern/protocol/fault'
import type { ByteStream } from '@postern/protocol/mux'
import type { RouteUsers } from './route-users.ts'
import type { StreamQueue } from './stream-queue.ts'
import type { VisitorGate } from './visitor-gate.ts'

/**
 * How old an idle stream may be for the request at hand: `idle` takes any that the pool holds, `young` only one used a
 * moment ago (for a request that must not be sent twice), `fresh` none.
 */
export type Freshness = 'idle' | 'young' | 'fresh'

/** For whom a stream is: who visits, and the id of the request that needs it. */
export interface Asker {
  readonly visitorAddress: string
  readonly requestId: string
}

/** Why the far end reset a stream. */
export interface Failure {
  readonly fault: TunnelFault
  /** Not one byte of the request reached the local server. */
  readonly unsent: boolean
  /**
   * `elsewhere`: this route leads nowhere any more, and another may. `nowhere`: the request was judged, and is not to be sent again. Otherwise
   * the same route may serve it.
   */
  readonly next?: 'elsewhere' | 'nowhere'
}

/** A stream for one exchange. Its user listens on it at once, and ends with exactly one of `keep`, `leave` and `reset`. */
export interface Lease {
  readonly stream: ByteStream
  /** The stream has carried an exchange before: the local server may have closed it without our knowing. */
  readonly reused: boolean
  /** The node that has the tunnel authorises the request and keeps its deadlines. False at first; once true, it stays true. */
  readonly judged?: boolean
  /** When the stream was opened, where that is known; monotonic milliseconds. */
  readonly openedAt?: number
  /** Whoever has the tunnel has not yet said that it takes the request: all that is sent until then must be kept. May become false, never true. */
  readonly tentative?: boolean
  /** Gives the stream back: both messages ended by their framing, nothing followed, neither side said close. `idleMs` is the longest it may wait. */
  keep(idleMs: number): void
  /** Lets the stream end by itself: the exchange is over, but it cannot carry another one. `unread`: the local server may still be reading, and what it sends is dropped. */
  leave(unread?: boolean): void
  /** Abandons the stream. Harmless when repeated. */
  reset(): void
  /** The first byte of the response has come. */
  answered?(): void
  /**
   * Where present, the stream can carry further requests of the same visitor's connection, and of that alone: `bind` after an exchange, `wake` before the
   * next. Its user listens on it meanwhile, and still ends with one of `leave` and `reset`.
   */
  bind?(): void
  wake?(): void
  /** Why the far end reset the stream, where it said so. */
  failure(): Failure | undefined
}

/** Where the requests for one name go. A local channel and another task that holds it are two implementations. */
export interface Route {
  /** Asked before each request that takes this route. Undefined: everybody passes, and heads stay as they are. */
  readonly gate?: VisitorGate | undefined
  /** How long a request waits for the first byte of its answer, in milliseconds; Infinity: without limit, undefined: as long as usual. */
  readonly firstByteMs?: number | undefined
  /** Where present, says something to the person at the agent. */
  notify?(about: NoticeKind, detail: string): void
  /** What the way to the far end and back takes, as measured last; milliseconds, undefined where nobody has. */
  readonly roundTripMs?: number | undefined
  /** Where requests wait while the route has no stream; absent where it always has. */
  readonly queue?: StreamQueue
  /** Those that have a stream of it; absent where it always has one. */
  readonly users?: RouteUsers
  /** Where present: tells once, when no further request takes this route; at once if it is so. Returns the removal. */
  whenRetired?(tell: () => void): () => void
  /** `again`: for a request that has just given up a stream of this route, and waits behind nobody. @throws TunnelFault `streams-exhausted`, `channel-closed` */
  lease(freshness: Freshness, asker: Asker, again?: boolean): Lease
}
