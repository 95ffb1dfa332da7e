/** What the connections of visitors are handed by their listener. */
import type { ProxyHost } from '../proxy/proxy-context.ts'
import type { TrustedProxies } from '../proxy/visitor.ts'
import type { Expirable } from './sweeper.ts'

export interface VisitorAddress {
  readonly address: string
  /** The key by which the address is counted. */
  readonly key: string
  /** As `Downstream.proxies`. */
  readonly proxies: TrustedProxies | undefined
}

/** The listener, as a visitor's connection sees it. */
export interface VisitorHost extends ProxyHost {
  /** The deadline of what may take so many milliseconds. */
  deadlineIn(ms: number): number
  /** Has its deadline looked at until the returned removal is called; removing twice is harmless. */
  watch(item: Expirable): () => void
  /** The node is about to stop: each response says that it is the last on its connection. */
  readonly retiring: boolean
  /** Code of a connection threw, and the connection is gone. */
  crashed(error: unknown): void
}

/** A visitor's connection, whichever version of HTTP it speaks. */
export interface InboundConnection {
  /** Monotonic milliseconds after which `expire` is called. */
  readonly deadline: number
  expire(): void
  readonly addressKey: string
  /** Since when it has had no request under way, in monotonic milliseconds; undefined while it has one. */
  readonly idleSince: number | undefined
  /** Since when it has been at the head of a request, in monotonic milliseconds; undefined if it is not. */
  readonly unfinishedSince: number | undefined
  /** Since about when only the visitor's taking of what it was answered has been left, in monotonic milliseconds; undefined while more is. */
  readonly answeredSince: number | undefined
  /** Whose it is. */
  readonly clientAddress: string
  /** No more than the requests under way: those that come are still served. */
  disableKeepAlive(): void
  /** No further request: an idle connection ends now, a busy one after its response. */
  drain(): void
  /** The node stops, and can wait no longer. */
  terminate(): void
  /** Its place is needed: a connection ends now that has no request, or none that is still to be answered. */
  evict(): void
}
