/** One visitor's connection over HTTP/1: heads in, one request after the other, their responses out. */
import type { Socket } from 'node:net'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import type { RequestHead } from '@postern/protocol/http'
import {
  BODY_IDLE_MS,
  FIRST_BYTE_MS,
  HEAD_TIMEOUT_MS,
  HELD_BODY_BYTES,
  LINGER_MS,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import { ByteQueue, onBytes, resetSocket } from '@postern/protocol/socket'
import type { Downstream, Ending } from '../proxy/downstream.ts'
import type { ProxyContext } from '../proxy/proxy-context.ts'
import { ProxyRequest } from '../proxy/proxy-request.ts'
import { prefaceIn } from './http2/preface.ts'
import type { InboundConnection, VisitorAddress, VisitorHost } from './inbound-context.ts'
import { acceptedBytes } from './kernel-writes.ts'
import { PausedProbe } from './paused-probe.ts'
import { RequestHeads } from './request-heads.ts'

type State =
  /** Between requests, or inside a head. */
  | 'head'
  /** A request is under way, or the visitor has yet to take its response. */
  | 'request'
  /** The last response is with the kernel; what still comes is dropped until the visitor has read it (RFC 9112 §9.6). */
  | 'lingering'
  | 'gone'

const NOTHING = Buffer.alloc(0)
const NOT_NOW = -1

export class Http1Connection implements Downstream, InboundConnection {
  deadline: number
  readonly addressKey: string
  readonly clientAddress: string
  readonly proxies: VisitorAddress['proxies']
  readonly bindsStreams: boolean
  /** Its requests, one after the other. */
  readonly request: ProxyRequest
  readonly #socket: Socket
  readonly #host: VisitorHost
  readonly #heads = new RequestHeads()
  /** Bytes that were read before they were wanted: the next pipelined request, or what waits for an upgrade. */
  readonly #waiting = new ByteQueue()
  readonly #speakHttp2: (bytes: Buffer) => void
  readonly #stopReading: () => void
  #state: State = 'head'
  /** A request has begun on it: what comes is no preface. */
  #begun = false
  /** The visitor has ended its writing. */
  #ended = false
  #draining = false
  /** The request takes no bytes just now. */
  #held = false
  #feeding = false
  /** An empty write waits behind what the visitor has not taken. */
  #probing = false
  #pausedProbe: PausedProbe | undefined
  /** Bytes that the visitor's side had taken when that was looked at last. */
  #accepted = 0

  /**
   * `socket` is paused; `first` is what was read from it. `speakHttp2` is called, later than in the constructor, if the visitor turns out to speak
   * HTTP/2: with all that was read, the socket paused, and this connection out of it.
   */
  constructor(
    socket: Socket,
    { address, key, proxies }: VisitorAddress,
    first: Buffer,
    context: ProxyContext,
    host: VisitorHost,
    speakHttp2: (bytes: Buffer) => void,
  ) {
    this.#socket = socket
    this.#host = host
    this.#speakHttp2 = speakHttp2
    this.clientAddress = address
    this.addressKey = key
    this.proxies = proxies
    this.bindsStreams = proxies === undefined
    this.request = new ProxyRequest(this, context, host)
    this.deadline = host.deadlineIn(FIRST_BYTE_MS)
    this.#stopReading = onBytes(socket, (chunk) => this.#read(chunk))
    socket.on('end', () => this.#readEnd())
    socket.on('close', () => this.#closed())
    socket.resume()
    if (first.length > 0) this.#read(first)
  }

  get idleSince(): number | undefined {
    if (this.#state !== 'head' || this.#heads.begun) return undefined
    return this.deadline - (this.#begun ? VISITOR_IDLE_MS : FIRST_BYTE_MS)
  }

  get unfinishedSince(): number | undefined {
    return this.#state === 'head' && this.#heads.begun ? this.deadline - HEAD_TIMEOUT_MS : undefined
  }

  get answeredSince(): number | undefined {
    if (this.#state === 'lingering') return this.deadline - LINGER_MS
    return this.#state === 'request' ? this.request.answeredSince : undefined
  }

  drain(): void {
    this.#draining = true
    if (this.#state === 'request') this.request.stopWaiting()
    else if (this.idleSince !== undefined) this.#close()
  }

  /** `mayKeepAlive` is asked with each response. */
  disableKeepAlive(): void {}

  terminate(): void {
    this.request.terminate()
  }

  evict(): void {
    if (this.#state === 'request') return this.#contained(() => this.request.cutAnswer())
    this.#state = 'gone'
    this.#socket.destroy()
  }

  expire(): void {
    this.#contained(() => this.#expire())
  }

  #expire(): void {
    switch (this.#state) {
      case 'head':
        if (!this.#heads.begun) return this.#close()
        return this.#refuseUnread(new TunnelFault('head-timeout'), this.#heads.begunBytes)
      case 'request':
        return this.request.expire()
      case 'lingering':
        // What waits here is lost, and an end in good order would hide that.
        if (this.#socket.writableLength > 0) resetSocket(this.#socket)
        else this.#socket.destroy()
    }
  }

  // ── what its request asks for ─────────────────────────────────────────────────────────────────────────────────────

  get mayWait(): boolean {
    return !this.#draining
  }

  get mayKeepAlive(): boolean {
    return !this.#draining && !this.#host.retiring
  }

  write(bytes: Buffer): boolean {
    this.#socket.write(bytes)
    if (this.#socket.writableLength === 0) return true
    this.#probeWrites()
    return false
  }

  progressed(): boolean {
    const before = this.#accepted
    this.#accepted = acceptedBytes(this.#socket)
    return this.#accepted > before
  }

  endWriting(): void {
    this.#socket.end(() => this.#written())
  }

  setReading(on: boolean): void {
    this.#held = !on
    if (on) this.#feedWaiting()
    this.#adjust()
  }

  putBack(pieces: readonly Buffer[]): void {
    this.#waiting.prepend(pieces)
  }

  /** While nothing is read, a reset shows only on a write; an empty one sends nothing. */
  probe(): void {
    if (!this.#socket.writableEnded) this.#socket.write(NOTHING)
  }

  expireIn(ms: number): void {
    this.deadline = this.#host.deadlineIn(ms)
  }

  done(ending: Ending): void {
    this.#held = false
    if (this.#state === 'gone') return
    switch (ending) {
      case 'keep-alive':
        if (this.#draining) return this.#close()
        return this.#nextHead()
      case 'close':
        return this.#close()
      case 'cut':
        this.#state = 'gone'
        resetSocket(this.#socket)
        return
      default:
        this.#state = 'gone'
        this.#socket.destroy()
    }
  }

  // ── the socket ────────────────────────────────────────────────────────────────────────────────────────────────────

  #read(chunk: Buffer): void {
    if (this.#state === 'lingering' || this.#state === 'gone') return
    try {
      if (this.#waiting.length > 0 || this.#feeding) this.#waiting.append(chunk)
      else this.#feed(chunk)
      this.#adjust()
    } catch (error) {
      this.#crash(error)
    }
  }

  #readEnd(): void {
    this.#ended = true
    this.#handOnEnd()
    // Nothing is read behind an end: a reset, and the end of TCP keep-alive, show only on a write.
    if (this.#state === 'request') this.#probeNowAndThen()
  }

  /** The end stands behind all that waits. A request that waits itself learns of it at once, since its visitor may have left. */
  #handOnEnd(): void {
    if (!this.#ended || (this.#waiting.length > 0 && !this.request.waits)) return
    if (this.#state === 'request') this.#contained(() => this.request.visitorEnded())
    else if (this.#state === 'head') this.#socket.end()
  }

  #closed(): void {
    this.#state = 'gone'
    this.#pausedProbe?.stop()
    this.#waiting.take()
    this.#contained(() => this.request.visitorGone())
    this.#heads.release()
  }

  /** Asks to be called when the visitor has taken all that was written. A write of no bytes is called back behind those before it. */
  #probeWrites(): void {
    if (this.#probing) return
    this.#probing = true
    this.#accepted = acceptedBytes(this.#socket)
    this.#socket.write(NOTHING, (error) => {
      this.#probing = false
      if (error) return
      if (this.#socket.writableLength === 0) this.#written()
      // Behind an end nothing can be written, and its own call comes instead.
      else if (!this.#socket.writableEnded) this.#probeWrites()
    })
  }

  #written(): void {
    if (this.#state === 'request') this.#contained(() => this.request.drained())
  }

  /** Reads from the socket, or does not, as things stand. */
  #adjust(): void {
    if (this.#state === 'gone') return
    const mayWait = this.#state === 'request' && this.request.waits ? HELD_BODY_BYTES : 0
    if (this.#held || this.#waiting.length > mayWait) this.#pause()
    else if (this.#socket.isPaused()) {
      if (!this.#ended) this.#pausedProbe?.stop()
      this.#socket.resume()
    }
  }

  #pause(): void {
    this.#socket.pause()
    this.#probeNowAndThen()
  }

  #probeNowAndThen(): void {
    this.#pausedProbe ??= new PausedProbe(this.#host, () => this.probe())
    this.#pausedProbe.start()
  }

  // ── bytes, as far as they are wanted ──────────────────────────────────────────────────────────────────────────────

  #feed(chunk: Buffer): void {
    this.#feeding = true
    let from = 0
    while (from < chunk.length) {
      const next = this.#take(chunk, from)
      if (next === NOT_NOW) break
      from = next
    }
    this.#feeding = false
    if (from < chunk.length && this.#state !== 'lingering' && this.#state !== 'gone')
      this.#waiting.append(from === 0 ? chunk : chunk.subarray(from))
  }

  #feedWaiting(): void {
    if (this.#feeding) return
    const bytes = this.#waiting.take()
    if (bytes === undefined) return
    this.#feed(bytes)
    this.#handOnEnd()
  }

  /** Takes some of the chunk; answers the index behind it, or NOT_NOW. */
  #take(chunk: Buffer, from: number): number {
    if (this.#state === 'head') return this.#readHead(chunk, from)
    if (this.#state !== 'request' || this.#held || !this.request.takesBytes) return NOT_NOW
    return this.request.bodyBytes(chunk, from, chunk.length)
  }

  #readHead(chunk: Buffer, from: number): number {
    const { begunBytes } = this.#heads
    let head: RequestHead | undefined
    try {
      head = this.#heads.read(chunk, from)
    } catch (error) {
      const fault = toFault(error, 'request-invalid')
      if (fault.code !== 'version-unsupported' || !this.#readPreface(this.#heads.refused(chunk, from)))
        this.#refuseUnread(fault, begunBytes + chunk.length - from)
      return chunk.length
    }
    const { next } = this.#heads
    if (head !== undefined) {
      this.#begun = true
      this.#state = 'request'
      this.request.begin(head, head.bytes, head.version === 11 ? 'HTTP/1.1' : 'HTTP/1.0')
    } else if (begunBytes === 0) this.expireIn(HEAD_TIMEOUT_MS)
    return next
  }

  /**
   * The preface of HTTP/2 is made to look like a request of a version that HTTP/1.1 does not know (RFC 9113 §3.4), so only such a one is looked at.
   * False if it is none.
   */
  #readPreface(bytes: Buffer): boolean {
    const preface = this.#begun ? 'none' : prefaceIn(bytes)
    if (preface === 'part') this.expireIn(HEAD_TIMEOUT_MS)
    if (preface !== 'whole') return preface === 'part'
    this.#state = 'gone'
    this.#socket.pause()
    this.#stopReading()
    // Not while the socket is handing out what it has read, and not before the listener has this connection.
    process.nextTick(() => {
      if (!this.#socket.destroyed) this.#speakHttp2(bytes)
    })
    return true
  }

  /** What came is no request. */
  #refuseUnread(fault: TunnelFault, bytes: number): void {
    this.#state = 'request'
    this.request.refuseUnread(fault, bytes, 'HTTP/1.1')
  }

  #nextHead(): void {
    this.#state = 'head'
    this.#heads.clear()
    this.expireIn(VISITOR_IDLE_MS)
    if (this.#waiting.length > 0) this.#feedWaiting()
    else this.#handOnEnd()
    this.#adjust()
  }

  // ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The last response has been taken: the connection ends as soon as the visitor has read it, or LINGER_MS after the kernel has all of it. */
  #close(): void {
    if (this.#state === 'lingering' || this.#state === 'gone') return
    this.#state = 'lingering'
    // No request follows that could take the stream which this connection may have for itself.
    this.request.visitorGone()
    this.#waiting.take()
    this.expireIn(BODY_IDLE_MS)
    this.#socket.end(() => this.expireIn(LINGER_MS))
    this.#adjust()
  }

  #contained(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#crash(error)
    }
  }

  /** Code of this connection threw: it ends, and nothing else. */
  #crash(error: unknown): void {
    this.#state = 'gone'
    resetSocket(this.#socket)
    if (this.request.active) this.request.abort(toFault(error))
    else this.#host.crashed(error)
  }
}
