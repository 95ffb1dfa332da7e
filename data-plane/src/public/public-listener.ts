/** Accepts visitors and keeps count of them. Knows nothing of HTTP beyond the refusal of one visitor too many. */
import { createServer, type Server, type Socket } from 'node:net'
import { addressKey } from '@postern/protocol/address'
import { type ProxyPolicy, readProxyHeader } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { SWEEP_MS, TCP_KEEPALIVE_MS } from '@postern/protocol/limits'
import type { Route } from '../route/route.ts'
import { faultAnswer } from './fault-answer.ts'
import { H2Connection, type H2Host } from './h2/h2-connection.ts'
import { type Perishable, Sweeper } from './sweeper.ts'
import { VisitorCeilings } from './visitor-ceilings.ts'
import { VisitorConnection } from './visitor-connection.ts'
import type { VisitorContext } from './visitor-context.ts'
import { type StreamUser, whoGivesWay } from './who-gives-way.ts'

export interface PublicListenerOptions {
  readonly proxyProtocol: ProxyPolicy
  /** Of servers that have none of their own. */
  readonly context: VisitorContext
  /** Monotonic milliseconds. */
  now(): number
  /** Those in which this process was not stopped, for what visitors have time for; `now` unless told. */
  awake?(): number
  /** How many visitors there may be at once; as in limits.ts unless told. */
  readonly ceilings?: VisitorCeilings
  /** A connection that came to nothing before its first request, for the log. */
  refused(fault: TunnelFault, address: string | undefined): void
}

/** A visitor's connection, whichever version of HTTP it speaks. */
type AnyVisitor = Perishable & { retire(): void; drain(): void; goAway(): void }

/** Who may have a stream of a tunnel: a connection of HTTP/1.1, one request of HTTP/2. */
type AnyUser = StreamUser & { giveWay(): void; goAway(): void }

export class PublicListener {
  readonly #options: PublicListenerOptions
  readonly #servers = new Set<Server>()
  readonly #sockets = new Set<Socket>()
  readonly #visitors = new Set<AnyVisitor>()
  readonly #users = new Set<AnyUser>()
  readonly #sweeper: Sweeper
  readonly #ceilings: VisitorCeilings
  /** `retiring` is asked with each response. */
  readonly #host: H2Host & { retiring: boolean }
  #emptied: (() => void) | undefined

  constructor(options: PublicListenerOptions) {
    this.#options = options
    this.#ceilings = options.ceilings ?? new VisitorCeilings()
    this.#sweeper = new Sweeper(options.awake ?? options.now, SWEEP_MS)
    this.#host = {
      deadlineIn: (ms) => this.#sweeper.deadlineIn(ms),
      now: options.now,
      retiring: false,
      makeRoom: (route, forWhom) => this.#makeRoom(route, forWhom),
      enter: (request) => {
        const unwatch = this.#sweeper.add(request)
        const leave = this.#addUser(request)
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
  createServer(context: VisitorContext = this.#options.context): Server {
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
  retire(): void {
    this.#host.retiring = true
    for (const visitor of this.#visitors) visitor.retire()
  }

  /** What is open on this route ends as at the end of a drain. */
  endOn(route: Route): void {
    for (const user of this.#users) if (user.uses(route)) user.goAway()
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
      for (const visitor of this.#visitors) visitor.goAway()
      await this.#emptiedIn(endMs)
    }
    for (const socket of this.#sockets) socket.resetAndDestroy()
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

  #accept(socket: Socket, context: VisitorContext): void {
    this.#sockets.add(socket)
    // What goes wrong on a socket ends it; 'close' follows and is where the exchange hears of it.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) this.#emptied?.()
    })
    if (this.#sockets.size > this.#ceilings.perTask) return this.#refuse(socket)
    if (this.#options.proxyProtocol === 'off') this.#welcome(socket, socket.remoteAddress, Buffer.alloc(0), context)
    else void this.#acceptProxied(socket, context)
  }

  async #acceptProxied(socket: Socket, context: VisitorContext): Promise<void> {
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

  #welcome(socket: Socket, address: string | undefined, first: Buffer, context: VisitorContext): void {
    // No address: the visitor left before its connection was looked at.
    if (address === undefined || socket.destroyed) return void socket.destroy()
    const key = addressKey(address, 'observed')
    const leave = this.#ceilings.enterFrom(key)
    if (leave === undefined) return this.#refuse(socket, address)
    const from = { address, key }
    const speakHttp2 = (bytes: Buffer): void => {
      forgetUser()
      remove()
      try {
        remove = this.#add(new H2Connection(socket, bytes, from, context, this.#host))
      } catch (error) {
        this.#options.refused(toFault(error), address)
        socket.destroy()
      }
    }
    const visitor = new VisitorConnection(socket, from, first, context, this.#host, speakHttp2)
    const forgetUser = this.#addUser(visitor)
    let remove = this.#add(visitor)
    socket.on('close', () => {
      remove()
      forgetUser()
      leave()
    })
  }

  #add(visitor: AnyVisitor): () => void {
    const unwatch = this.#sweeper.add(visitor)
    this.#visitors.add(visitor)
    return () => {
      unwatch()
      this.#visitors.delete(visitor)
    }
  }

  #addUser(user: AnyUser): () => void {
    this.#users.add(user)
    return () => {
      this.#users.delete(user)
    }
  }

  #makeRoom(route: Route, forWhom: StreamUser): boolean {
    const givesWay = whoGivesWay(this.#users, route, forWhom.addressKey)
    givesWay?.giveWay()
    return givesWay !== undefined
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
