/** Accepts visitors, counts them, and makes room among them. */
import { createServer, type Server, type Socket } from 'node:net'
import { addressKey } from '@postern/protocol/address'
import { type ProxyPolicy, readProxyHeader } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { SWEEP_MS, TCP_KEEPALIVE_MS } from '@postern/protocol/limits'
import { resetSocket } from '@postern/protocol/socket'
import { proxyPolicyFor } from '../channel/proxy-policy.ts'
import { faultAnswer } from '../proxy/fault-answer.ts'
import type { ProxyContext } from '../proxy/proxy-context.ts'
import type { TrustedProxies } from '../proxy/visitor.ts'
import { Http1Connection } from './http1-connection.ts'
import { Http2Connection } from './http2/http2-connection.ts'
import type { InboundConnection, VisitorHost } from './inbound-context.ts'
import { ReplaceableConnections } from './replaceable-connections.ts'
import { Sweeper } from './sweeper.ts'
import { VisitorCeilings } from './visitor-ceilings.ts'

export interface PublicListenerOptions {
  readonly proxyProtocol: ProxyPolicy
  /** PROXY headers and forwarded fields are accepted from these networks alone. Without it forwarded fields are accepted from no peer, and PROXY headers as `proxyProtocol` says. */
  readonly proxies?: TrustedProxies | undefined
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

/** The other end of a connection; `proxies` are those whose forwarded fields count there. */
interface Peer {
  readonly address: string | undefined
  readonly proxies: TrustedProxies | undefined
}

const NOTHING = Buffer.alloc(0)

export class PublicListener {
  readonly #options: PublicListenerOptions
  readonly #servers = new Set<Server>()
  readonly #sockets = new Set<Socket>()
  readonly #visitors = new Set<InboundConnection>()
  readonly #idle = new ReplaceableConnections(this.#visitors, ({ idleSince }) => idleSince)
  readonly #unfinished = new ReplaceableConnections(this.#visitors, ({ unfinishedSince }) => unfinishedSince)
  readonly #answered = new ReplaceableConnections(this.#visitors, ({ answeredSince }) => answeredSince)
  readonly #sweeper: Sweeper
  readonly #ceilings: VisitorCeilings
  /** `retiring` is asked with each response. */
  readonly #host: VisitorHost & { retiring: boolean }
  #draining = false
  /** Called when no visitor is left. */
  readonly #emptied = new Set<() => void>()
  /** Sockets of which the balancer has yet to say whom they are for. */
  #unnamed = 0

  constructor(options: PublicListenerOptions) {
    this.#options = options
    this.#ceilings = options.ceilings ?? new VisitorCeilings()
    this.#sweeper = options.sweeper ?? new Sweeper(options.awake ?? options.now, SWEEP_MS, options.crashed)
    this.#host = {
      deadlineIn: (ms) => this.#sweeper.deadlineIn(ms),
      now: options.now,
      retiring: false,
      crashed: options.crashed,
      watch: (item) => this.#sweeper.add(item),
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

  /**
   * No new visitors; idle ones are let go, busy ones end with their response. Those that have not after `graceMs` are told to go, as far
   * as their protocols have a word for it, and have `endMs` for that. Resolves when all are gone; then those that are left are cut.
   */
  async drain(graceMs: number, endMs = 0): Promise<void> {
    this.#draining = true
    for (const server of this.#servers) server.close()
    for (const visitor of this.#visitors) visitor.drain()
    await this.#emptiedIn(graceMs)
    if (endMs > 0 && this.#sockets.size > 0) {
      for (const visitor of this.#visitors) visitor.terminate()
      await this.#emptiedIn(endMs)
    }
    for (const socket of this.#sockets) resetSocket(socket)
    this.#sweeper.stop()
  }

  #emptiedIn(ms: number): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const over = (): void => {
        clearTimeout(deadline)
        this.#emptied.delete(over)
        resolve()
      }
      const deadline = setTimeout(over, ms)
      this.#emptied.add(over)
    })
  }

  #accept(socket: Socket, context: ProxyContext): void {
    this.#sockets.add(socket)
    // What goes wrong on a socket ends it; 'close' follows and is where the exchange hears of it.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) for (const emptied of this.#emptied) emptied()
    })
    const { proxyProtocol, proxies } = this.#options
    const { remoteAddress } = socket
    if (proxyPolicyFor(remoteAddress, proxyProtocol, proxies) === 'off')
      this.#welcome(socket, { address: remoteAddress, proxies }, NOTHING, context)
    else if (this.#unnamed >= this.#ceilings.perTask) this.#refuse(socket)
    else void this.#acceptProxied(socket, context)
  }

  async #acceptProxied(socket: Socket, context: ProxyContext): Promise<void> {
    const { remoteAddress } = socket
    this.#unnamed += 1
    try {
      const reading = readProxyHeader(socket, this.#options.proxyProtocol)
      // Accepted paused, which a 'data' listener alone does not undo.
      socket.resume()
      const { source, anonymous, rest } = await reading.finally(() => {
        this.#unnamed -= 1
      })
      // The header does not name a source, so the request may be any visitor's.
      const proxies = anonymous ? undefined : this.#options.proxies
      this.#welcome(socket, { address: source.address, proxies }, rest, context)
    } catch (error) {
      this.#options.refused(toFault(error, 'proxy-header-invalid'), remoteAddress)
    }
  }

  #welcome(socket: Socket, peer: Peer, first: Buffer, context: ProxyContext): void {
    const { address } = peer
    // No address: the visitor left before its connection was looked at.
    if (address === undefined || socket.destroyed) return void socket.destroy()
    const key = addressKey(address, 'observed')
    const proxies = peer.proxies?.holds(address) === true ? peer.proxies : undefined
    const leave = this.#admit(key, proxies !== undefined)
    if (leave === undefined) return this.#refuse(socket, address)
    const from = { address, key, proxies }
    const speakHttp2 = (bytes: Buffer): void => {
      remove()
      try {
        const connection = new Http2Connection(socket, bytes, from, context, this.#host)
        remove = this.#add(connection)
        if (this.#draining) connection.drain()
        else if (this.#host.retiring) connection.disableKeepAlive()
      } catch (error) {
        this.#options.crashed(error)
        socket.destroy()
      }
    }
    const visitor = new Http1Connection(socket, from, first, context, this.#host, speakHttp2)
    let remove = this.#add(visitor)
    socket.on('close', () => {
      remove()
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

  /** Counts a connection from that address. Where there are too many, another one ends for it. Returns the removal; undefined if none may. */
  #admit(key: string, ofProxy: boolean): (() => void) | undefined {
    // All visitors may come by one proxy.
    const leave = ofProxy ? this.#ceilings.replaceFrom(key) : this.#ceilings.enterFrom(key)
    if (leave === undefined) return this.#evictIdle(key) ? this.#ceilings.replaceFrom(key) : undefined
    if (this.#visitors.size < this.#ceilings.perTask || this.#evictIdle(undefined) || this.#evictFor(key)) return leave
    leave()
    return undefined
  }

  /** Ends a connection without a request, of this address if it is given. False if there is none. */
  #evictIdle(key: string | undefined): boolean {
    const visitor = this.#idle.next(this.#options.now(), key)
    visitor?.evict()
    return visitor !== undefined
  }

  /**
   * Ends a connection of an address that has more of them than the address of this key: one that has not finished a head, or else one that only has an answer
   * to take. False if there is none.
   */
  #evictFor(key: string): boolean {
    const now = this.#options.now()
    const own = this.#ceilings.from(key)
    const mayLose = (other: string): boolean => this.#ceilings.from(other) > own
    const visitor = this.#unfinished.next(now, undefined, mayLose) ?? this.#answered.next(now, undefined, mayLose)
    if (visitor === undefined) return false
    visitor.evict()
    const fault = new TunnelFault('visitors-exhausted', 'The place went to a visitor whose address had fewer.')
    this.#options.refused(fault, visitor.clientAddress)
    return true
  }

  #refuse(socket: Socket, address = socket.remoteAddress): void {
    const fault = new TunnelFault('visitors-exhausted')
    const requestId = this.#options.context.newRequestId()
    socket.end(faultAnswer(fault, { accept: undefined, method: 'GET', requestId, keepAlive: false }))
    socket.resume()
    // Whatever it sends meanwhile.
    const end = setTimeout(() => socket.destroy(), SWEEP_MS)
    socket.on('close', () => clearTimeout(end))
    this.#options.refused(fault, address)
  }
}
