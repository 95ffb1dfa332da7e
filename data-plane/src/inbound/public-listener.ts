/** Accepts visitors, counts them, and makes room among them. */
import { createServer, type Server, type Socket } from 'node:net'
import { addressKey } from '@postern/protocol/address'
import { type ProxyPolicy, readProxyHeader } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { EVICTION_SEARCH_MS, SWEEP_MS, TCP_KEEPALIVE_MS } from '@postern/protocol/limits'
import { cutSocket } from '@postern/protocol/socket'
import { chooseEvicted, type Evictable } from '../proxy/eviction.ts'
import { faultAnswer } from '../proxy/fault-answer.ts'
import type { ProxyContext } from '../proxy/proxy-context.ts'
import type { Route } from '../route/route.ts'
import { Http1Connection } from './http1-connection.ts'
import { Http2Connection, type Http2Host } from './http2/http2-connection.ts'
import { idlestOfLargestCrowd } from './idle-connection.ts'
import type { InboundConnection } from './inbound-context.ts'
import { Sweeper } from './sweeper.ts'
import { VisitorCeilings } from './visitor-ceilings.ts'

export interface PublicListenerOptions {
  readonly proxyProtocol: ProxyPolicy
  /** Of servers that have none of their own. */
  readonly context: ProxyContext
  /** Monotonic milliseconds. */
  now(): number
  /** Those in which this process was not stopped, for what visitors have time for; `now` unless told. */
  awake?(): number
  /** Looks at deadlines; one by `awake` unless given. It ends with the drain. */
  readonly sweeper?: Sweeper
  /** How many visitors there may be at once; as in limits.ts unless told. */
  readonly ceilings?: VisitorCeilings
  /** A connection that came to nothing before its first request, for the log. */
  refused(fault: TunnelFault, address: string | undefined): void
  /** Code of a connection threw, and that connection is gone. */
  crashed(error: unknown): void
}

export class PublicListener {
  readonly #options: PublicListenerOptions
  readonly #servers = new Set<Server>()
  readonly #sockets = new Set<Socket>()
  readonly #visitors = new Set<InboundConnection>()
  /** Requests that may have a stream of a tunnel. */
  readonly #users = new Set<Evictable>()
  readonly #sweeper: Sweeper
  readonly #ceilings: VisitorCeilings
  /** `retiring` is asked with each response. */
  readonly #host: Http2Host & { retiring: boolean }
  #emptied: (() => void) | undefined
  /** No idle connection was found a moment ago. */
  #searchAgainAt = -Infinity

  constructor(options: PublicListenerOptions) {
    this.#options = options
    this.#ceilings = options.ceilings ?? new VisitorCeilings()
    this.#sweeper = options.sweeper ?? new Sweeper(options.awake ?? options.now, SWEEP_MS, options.crashed)
    this.#host = {
      deadlineIn: (ms) => this.#sweeper.deadlineIn(ms),
      now: options.now,
      retiring: false,
      crashed: options.crashed,
      makeRoom: (route, forWhom) => this.makeRoom(route, forWhom),
      enter: (stream, request) => {
        const unwatch = this.#sweeper.add(stream)
        const leave = this.enter(request)
        return () => {
          unwatch()
          leave()
        }
      },
    }
  }

  get visitors(): number {
    return this.#visitors.size
  }

  /** A server of this listener, not yet listening; one for each address to bind. All share their ceiling, their clock and their end. */
  createServer(context: ProxyContext = this.#options.context): Server {
    const server = createServer(
      {
        allowHalfOpen: true,
        pauseOnConnect: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: TCP_KEEPALIVE_MS,
      },
      (socket) => this.#accept(socket, context),
    )
    this.#servers.add(server)
    return server
  }

  /**
   * From now on each response is the last on its connection. Visitors still come in, and idle ones stay: whoever sends a request just now
   * shall not find the connection closed.
   */
  disableKeepAlive(): void {
    this.#host.retiring = true
    for (const visitor of this.#visitors) visitor.disableKeepAlive()
  }

  /** What is open on this route ends as at the end of a drain. */
  endOn(route: Route): void {
    for (const user of this.#users) if (user.uses(route)) user.terminate()
  }

  /**
   * No new visitors; idle ones are let go, busy ones end with their response. Those that have not after `graceMs` are told to go, as far
   * as their protocols have a word for it, and have `endMs` for that. Resolves when all are gone; then those that are left are cut.
   */
  async drain(graceMs: number, endMs = 0): Promise<void> {
    for (const server of this.#servers) server.close()
    for (const visitor of this.#visitors) visitor.drain()
    await this.#emptiedIn(graceMs)
    if (endMs > 0 && this.#sockets.size > 0) {
      for (const visitor of this.#visitors) visitor.terminate()
      await this.#emptiedIn(endMs)
    }
    for (const socket of this.#sockets) cutSocket(socket)
    this.#sweeper.stop()
  }

  #emptiedIn(ms: number): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const deadline = setTimeout(resolve, ms)
      this.#emptied = () => {
        clearTimeout(deadline)
        resolve()
      }
    })
  }

  #accept(socket: Socket, context: ProxyContext): void {
    this.#sockets.add(socket)
    // What goes wrong on a socket ends it; 'close' follows and is where the exchange hears of it.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) this.#emptied?.()
    })
    if (this.#sockets.size > this.#ceilings.perTask && !this.#evictIdle()) return this.#refuse(socket)
    if (this.#options.proxyProtocol === 'off') this.#welcome(socket, socket.remoteAddress, Buffer.alloc(0), context)
    else void this.#acceptProxied(socket, context)
  }

  async #acceptProxied(socket: Socket, context: ProxyContext): Promise<void> {
    const { remoteAddress } = socket
    try {
      const reading = readProxyHeader(socket, this.#options.proxyProtocol)
      // Accepted paused, which a 'data' listener alone does not undo.
      socket.resume()
      const { source, rest } = await reading
      this.#welcome(socket, source.address, rest, context)
    } catch (error) {
      this.#options.refused(toFault(error, 'proxy-header-invalid'), remoteAddress)
    }
  }

  #welcome(socket: Socket, address: string | undefined, first: Buffer, context: ProxyContext): void {
    // No address: the visitor left before its connection was looked at.
    if (address === undefined || socket.destroyed) return void socket.destroy()
    const key = addressKey(address, 'observed')
    const leave = this.#ceilings.enterFrom(key) ?? this.#enterInPlaceOf(key)
    if (leave === undefined) return this.#refuse(socket, address)
    const from = { address, key }
    const speakHttp2 = (bytes: Buffer): void => {
      forgetUser()
      remove()
      try {
        remove = this.#add(new Http2Connection(socket, bytes, from, context, this.#host))
      } catch (error) {
        this.#options.crashed(error)
        socket.destroy()
      }
    }
    const visitor = new Http1Connection(socket, from, first, context, this.#host, speakHttp2)
    const forgetUser = this.enter(visitor.request)
    let remove = this.#add(visitor)
    socket.on('close', () => {
      remove()
      forgetUser()
      leave()
    })
  }

  #add(visitor: InboundConnection): () => void {
    const unwatch = this.#sweeper.add(visitor)
    this.#visitors.add(visitor)
    return () => {
      unwatch()
      this.#visitors.delete(visitor)
    }
  }

  /** A request that may have a stream of a tunnel, and from which it may be taken. Returns the removal. */
  enter(request: Evictable): () => void {
    this.#users.add(request)
    return () => {
      this.#users.delete(request)
    }
  }

  /** As `ProxyHost.makeRoom`. */
  makeRoom(route: Route, forWhom: Evictable): boolean {
    const evicted = chooseEvicted(this.#users, route, forWhom.addressKey)
    evicted?.evict()
    return evicted !== undefined
  }

  /** Counts a connection whose address has too many, if an idle one of them can end instead. */
  #enterInPlaceOf(key: string): (() => void) | undefined {
    return this.#evictIdle(key) ? this.#ceilings.replaceFrom(key) : undefined
  }

  /** Ends a connection without a request, of this address if it is given. False if there is none. */
  #evictIdle(key?: string): boolean {
    const now = this.#options.now()
    if (now < this.#searchAgainAt) return false
    const visitor = idlestOfLargestCrowd(this.#visitors, key)
    if (visitor === undefined) this.#searchAgainAt = now + EVICTION_SEARCH_MS
    visitor?.evict()
    return visitor !== undefined
  }

  #refuse(socket: Socket, address = socket.remoteAddress): void {
    const fault = new TunnelFault('visitors-exhausted')
    const requestId = this.#options.context.newRequestId()
    socket.end(faultAnswer(fault, { accept: undefined, method: 'GET', requestId, keepAlive: false }))
    socket.resume()
    socket.setTimeout(SWEEP_MS, () => socket.destroy())
    this.#options.refused(fault, address)
  }
}
