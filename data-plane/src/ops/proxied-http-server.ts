/** An HTTP server whose connections may begin with a PROXY header, one request each. Knows nothing of what it answers. */
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http'
import net, { type Server, type Socket } from 'node:net'
import { type ProxyPolicy, readProxyHeader } from '@postern/protocol/channel'
import { HEAD_TIMEOUT_MS, OPS_CONNECTIONS } from '@postern/protocol/limits'

export class ProxiedHttpServer {
  /** Not yet listening. */
  readonly server: Server
  readonly #http: HttpServer
  readonly #policy: ProxyPolicy
  readonly #sockets = new Set<Socket>()

  constructor(policy: ProxyPolicy, answer: RequestListener) {
    this.#policy = policy
    this.#http = createServer((request, response) => {
      response.setHeader('connection', 'close')
      answer(request, response)
    })
    this.server = net.createServer({ noDelay: true, pauseOnConnect: true }, (socket) => void this.#accept(socket))
    this.server.maxConnections = OPS_CONNECTIONS
  }

  /** Whoever is still there is cut. Harmless when repeated. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #accept(socket: Socket): Promise<void> {
    this.#sockets.add(socket)
    // The answer is a few bytes: this is the time of the whole connection. node:http times only servers of its own.
    const deadline = setTimeout(() => socket.destroy(), HEAD_TIMEOUT_MS)
    socket.on('error', () => {})
    socket.once('close', () => {
      clearTimeout(deadline)
      this.#sockets.delete(socket)
    })
    try {
      const reading = readProxyHeader(socket, this.#policy)
      // Accepted paused, which a 'data' listener alone does not undo.
      socket.resume()
      const { rest } = await reading
      if (socket.destroyed) return
      this.#http.emit('connection', socket)
      socket.unshift(rest)
      socket.resume()
    } catch {
      // No header where there must be one: the socket is destroyed, and nobody is there to be told.
    }
  }
}
