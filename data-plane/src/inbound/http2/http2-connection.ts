/** One visitor's connection over HTTP/2: its session, its streams side by side, and what it may ask for. */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { RateBucket } from '@postern/protocol/channel'
import type { RawFields } from '@postern/protocol/http'
import {
  BODY_IDLE_MS,
  H2_CONNECTION_WINDOW_BYTES,
  H2_CONTROL_FRAMES_BURST,
  H2_CONTROL_FRAMES_PER_SECOND,
  H2_HEADER_LIST_BYTES,
  H2_HEADER_PAIRS,
  H2_INVALID_FRAMES,
  H2_PONG_MS,
  H2_REJECTED_STREAMS,
  H2_RESETS_BURST,
  H2_RESETS_PER_SECOND,
  H2_SENT_HEAD_BYTES,
  H2_SESSION_MEMORY_MB,
  H2_SETTINGS_ENTRIES,
  H2_STREAM_WINDOW_BYTES,
  H2_STREAMS_PER_VISITOR,
  LINGER_MS,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import { containedEvents } from '../../h2/contained-events.ts'
import { GoingAway } from '../../h2/going-away.ts'
import { Liveness } from '../../h2/liveness.ts'
import type { ProxyContext } from '../../proxy/proxy-context.ts'
import type { InboundConnection, VisitorAddress, VisitorHost } from '../inbound-context.ts'
import { isBlocked } from '../kernel-writes.ts'
import { ConnectionLoad } from './connection-load.ts'
import { Http2Stream, type Http2StreamHost } from './http2-stream.ts'

const OPTIONS = {
  maxSettings: H2_SETTINGS_ENTRIES,
  maxSessionMemory: H2_SESSION_MEMORY_MB,
  maxHeaderListPairs: H2_HEADER_PAIRS,
  maxSessionInvalidFrames: H2_INVALID_FRAMES,
  maxSessionRejectedStreams: H2_REJECTED_STREAMS,
  maxSendHeaderBlockLength: H2_SENT_HEAD_BYTES,
  settings: {
    maxConcurrentStreams: H2_STREAMS_PER_VISITOR,
    maxHeaderListSize: H2_HEADER_LIST_BYTES,
    initialWindowSize: H2_STREAM_WINDOW_BYTES,
    enableConnectProtocol: false,
  },
}

/** The answers to a PING and to SETTINGS (RFC 9113 §6.5, §6.7). With more between two PINGs, something else was sent. */
const ACKNOWLEDGEMENT_BYTES = 17 + 9

export class Http2Connection implements InboundConnection, Http2StreamHost {
  readonly clientAddress: string
  readonly addressKey: string
  readonly proxies: VisitorAddress['proxies']
  readonly context: ProxyContext
  readonly host: VisitorHost
  begun = false
  readonly #socket: Socket
  readonly #session: ServerHttp2Session
  readonly #goingAway: GoingAway
  readonly #streams = new Set<Http2Stream>()
  readonly #load: ConnectionLoad
  readonly #controls: RateBucket
  readonly #resets: RateBucket
  readonly #liveness: Liveness
  /** When it is let go, unless its session breaks before. */
  #idleDeadline: number
  #idleSince: number
  #mayWait = true
  /** The visitor has answered a PING behind its last response: it has read all that it was sent. */
  #hasRead = true
  /** Bytes of the visitor when the connection began to linger, or went on lingering. */
  #bytesRead = -1
  /** Bytes that had been sent when the visitor's last PING came. */
  #writtenAtPing = 0
  /** When the connection ends though the visitor still sends. */
  #lingersUntil: number | undefined

  /** `first`: what was read of the socket, from the preface on. The socket is paused, and nobody else reads it. */
  constructor(
    socket: Socket,
    first: Buffer,
    { address, key, proxies }: VisitorAddress,
    context: ProxyContext,
    host: VisitorHost,
  ) {
    this.clientAddress = address
    this.addressKey = key
    this.proxies = proxies
    this.context = context
    this.host = host
    this.#socket = socket
    const now = (): number => host.now()
    this.#load = new ConnectionLoad(
      this.#streams,
      () => host.deadlineIn(0),
      (error) => this.#failed(error),
    )
    this.#controls = new RateBucket(H2_CONTROL_FRAMES_PER_SECOND, H2_CONTROL_FRAMES_BURST, now)
    this.#resets = new RateBucket(H2_RESETS_PER_SECOND, H2_RESETS_BURST, now)
    this.#idleSince = host.now()
    this.#idleDeadline = host.deadlineIn(VISITOR_IDLE_MS)
    socket.unshift(first)
    const session = performServerHandshake(socket, OPTIONS)
    this.#session = session
    this.#goingAway = new GoingAway(session, () => this.#leave())
    session.setLocalWindowSize(H2_CONNECTION_WINDOW_BYTES)
    this.#liveness = new Liveness({
      session,
      by: () => (this.#goingAway.begun ? 'settings' : 'ping'),
      blocked: () => isBlocked(socket),
      deadlineIn: (ms) => host.deadlineIn(ms),
      dead: () => this.#destroy(),
      pinged: () => this.#pinged(),
    })
    // What breaks a session ends it; its streams hear of that by their own 'close'.
    session.on('error', () => {})
    const on = containedEvents(session, (error) => this.#failed(error))
    on('stream', (stream: ServerHttp2Stream, _fields: unknown, flags: number, raw?: RawFields) =>
      this.#accept(stream, flags, raw ?? []),
    )
    on('ping', () => this.#countPing())
    on('remoteSettings', () => this.#countControl())
    on('close', () => this.#linger())
    // Who sends nothing further can neither take a request back nor give credit for an answer: it has left.
    socket.on('end', () => socket.destroy())
    // `node:http2` would call `close`, whose place GoingAway has taken, and wait for streams that can send nothing any more.
    socket.on('close', () => this.#destroy())
  }

  get deadline(): number {
    return Math.min(this.#idleDeadline, this.#liveness.deadline)
  }

  get mayWait(): boolean {
    return this.#mayWait
  }

  get idleSince(): number | undefined {
    return this.#streams.size === 0 ? this.#idleSince : undefined
  }

  /** Of a session without the end of a head `node:http2` reports no stream: the session is idle. */
  get unfinishedSince(): undefined {
    return undefined
  }

  get answeredSince(): number | undefined {
    if (this.idleSince !== undefined || this.#socket.destroyed) return undefined
    for (const { isAnswered } of this.#streams) if (!isAnswered) return undefined
    return this.#idleSince
  }

  /** GOAWAY now, the end with the last response. */
  disableKeepAlive(): void {
    this.#leave()
  }

  terminate(): void {
    for (const { request } of this.#streams) request.terminate()
  }

  evict(): void {
    this.#leave()
    this.#destroy()
  }

  /** No further request, and none that waits. */
  drain(): void {
    this.#leave()
    for (const { request } of this.#streams) request.stopWaiting()
  }

  resetByVisitor(): void {
    if (!this.#resets.take()) this.#calm()
  }

  defer(ready: () => void): (() => void) | undefined {
    return this.#load.defer(ready)
  }

  relieved(): void {
    this.#load.relieved()
  }

  burdened(bytes: number): void {
    this.#load.burdened(bytes)
  }

  expire(): void {
    if (this.#liveness.deadline <= this.#idleDeadline) return this.#liveness.check()
    if (!this.#goingAway.begun && !this.#session.destroyed) return this.#leave()
    if (this.#stillReads) this.#finish()
    else this.#destroy()
  }

  #accept(duplex: ServerHttp2Stream, flags: number, raw: RawFields): void {
    if (this.#goingAway.begun) return void duplex.on('error', () => {})
    // A stream has a deadline of its own, and the session its liveness.
    this.#idleDeadline = Infinity
    this.#hasRead = false
    const stream = new Http2Stream(duplex, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, this)
    this.begun = true
    this.#streams.add(stream)
    const unwatch = this.host.watch(stream)
    duplex.on('close', () => {
      unwatch()
      this.#streams.delete(stream)
      this.relieved()
      if (this.#streams.size > 0) return
      this.#idleSince = this.host.now()
      if (this.#goingAway.begun || this.#session.destroyed) this.#finish()
      else this.#idleDeadline = this.host.deadlineIn(VISITOR_IDLE_MS)
    })
  }

  /** GOAWAY, and FIN behind the last response. */
  #leave(): void {
    this.#mayWait = false
    if (this.#goingAway.begun || this.#session.destroyed) return
    this.#goingAway.begin()
    if (this.#streams.size === 0) this.#finish()
  }

  #finish(): void {
    this.#goingAway.finish()
    this.#linger()
  }

  /** A PING is sent. Returns what follows from its answer. */
  #pinged(): () => void {
    const since = this.idleSince
    return () => {
      if (since !== undefined && since === this.idleSince) this.#hasRead = true
    }
  }

  /**
   * The kernel may still have most of a response for the visitor. If the socket were closed, the next WINDOW_UPDATE of the visitor would be answered
   * by a reset, and the rest would be lost. A visitor that has read all, closes when it comes to the FIN.
   */
  #linger(): void {
    this.#bytesRead = this.#socket.bytesRead
    this.#lingersUntil ??= this.host.deadlineIn(BODY_IDLE_MS)
    const silence = this.host.deadlineIn(this.#hasRead ? LINGER_MS : H2_PONG_MS)
    this.#idleDeadline = Math.min(silence, this.#lingersUntil)
  }

  get #stillReads(): boolean {
    if (this.#hasRead || this.#socket.bytesRead === this.#bytesRead) return false
    return this.#lingersUntil === undefined || this.#idleDeadline < this.#lingersUntil
  }

  /** Behind a GOAWAY with NO_ERROR some clients take a response that was cut for whole. */
  #destroy(): void {
    if (!this.#session.destroyed) {
      if (this.#streams.size === 0) this.#session.destroy()
      else this.#session.destroy(new Error('the connection ends with requests open'), constants.NGHTTP2_INTERNAL_ERROR)
    }
    this.#socket.destroy()
  }

  /** An exception of ours ends this connection, and no other. */
  #failed(error: unknown): void {
    this.host.crashed(error)
    setImmediate(() => this.#destroy())
  }

  /** gRPC clients send one PING for each round trip in which DATA came, to learn the capacity of the path: it costs less than what it follows. */
  #countPing(): void {
    const { bytesWritten } = this.#socket
    const sent = bytesWritten - this.#writtenAtPing
    this.#writtenAtPing = bytesWritten
    if (sent <= ACKNOWLEDGEMENT_BYTES) this.#countControl()
  }

  #countControl(): void {
    if (!this.#controls.take()) this.#calm()
  }

  /** It asks for work that serves nobody (RFC 9113 §10.5). */
  #calm(): void {
    this.#mayWait = false
    this.#lingersUntil = this.host.deadlineIn(LINGER_MS)
    this.#linger()
    // Not inside an event: nghttp2 may still be reading a stream that this frees.
    setImmediate(() => {
      if (!this.#session.destroyed)
        this.#session.destroy(new Error('too many frames that ask for nothing'), constants.NGHTTP2_ENHANCE_YOUR_CALM)
    })
  }
}
