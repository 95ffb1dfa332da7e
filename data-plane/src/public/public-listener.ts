/** Accepts visitors and keeps count of them. Knows nothing of HTTP beyond the refusal of one visitor too many. */
import { createServer, type Server, type Socket } from 'node:net'
import { type ProxyPolicy, readProxyHeader } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { SWEEP_MS, TCP_KEEPALIVE_MS, VISITORS_PER_TASK } from '@postern/protocol/limits'
import { faultAnswer } from './fault-answer.ts'
import { Sweeper } from './sweeper.ts'
import { VisitorConnection, type VisitorContext } from './visitor-connection.ts'

export interface PublicListenerOptions {
  readonly proxyProtocol: ProxyPolicy
  /** Of servers that have none of their own. */
  readonly context: VisitorContext
  /** Monotonic milliseconds. */
  now(): number
  /** A connection that came to nothing before its first request, for the log. */
  refused(fault: TunnelFault, address: string | undefined): void
}

export class PublicListener {
  readonly #options: PublicListenerOptions
  readonly #servers = new Set<Server>()
  readonly #sockets = new Set<Socket>()
  readonly #visitors = new Set<VisitorConnection>()
  readonly #sweeper: Sweeper
  readonly #deadlineIn = (ms: number): number => this.#sweeper.deadlineIn(ms)
  #emptied: (() => void) | undefined

  constructor(options: PublicListenerOptions) {
    this.#options = options
    this.#sweeper = new Sweeper(options.now, SWEEP_MS)
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
   * No new visitors; idle ones are let go, busy ones end with their response. Resolves when all are gone, or after
   * `graceMs`, when those that are left are cut.
   */
  async drain(graceMs: number): Promise<void> {
    for (const server of this.#servers) server.close()
    for (const visitor of this.#visitors) visitor.drain()
    if (this.#sockets.size > 0) {
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, graceMs)
        this.#emptied = () => {
          clearTimeout(deadline)
          resolve()
        }
      })
    }
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#sweeper.stop()
  }

  #accept(socket: Socket, context: VisitorContext): void {
    this.#sockets.add(socket)
    // What goes wrong on a socket ends it; 'close' follows and is where the exchange hears of it.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) this.#emptied?.()
    })
    if (this.#sockets.size > VISITORS_PER_TASK) return this.#refuse(socket)
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
    const visitor = new VisitorConnection(socket, address, first, context, this.#deadlineIn)
    const unwatch = this.#sweeper.add(visitor)
    this.#visitors.add(visitor)
    socket.on('close', () => {
      unwatch()
      this.#visitors.delete(visitor)
    })
  }

  #refuse(socket: Socket): void {
    const fault = new TunnelFault('visitors-exhausted')
    const requestId = this.#options.context.newRequestId()
    socket.end(faultAnswer(fault, { accept: undefined, method: 'GET', requestId, keepAlive: false }))
    socket.resume()
    socket.setTimeout(SWEEP_MS, () => socket.destroy())
    this.#options.refused(fault, socket.remoteAddress)
  }
}
