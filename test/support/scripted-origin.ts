/** A local server on raw sockets whose every byte a test decides. Knows nothing of tunnels. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type Head, type Message, readHead, readRequest } from './http-message.ts'
import { RawConnection } from './raw-connection.ts'

/** A request whose head has come. */
export interface OriginRequest {
  readonly head: Head
  readonly connection: RawConnection
  /** Where the request begins in the connection's bytes. */
  readonly from: number
  /** The whole request, when it has come. */
  whole(): Promise<Message>
}

/** Writes the answer to one request. Resolves when the request is done with; what follows it on the connection is then the next one. */
export type Script = (request: OriginRequest) => void | Promise<void>

export class ScriptedOrigin {
  readonly port: number
  /** In the order they came. */
  readonly requests: OriginRequest[] = []
  readonly connections: RawConnection[] = []
  readonly #failures: unknown[] = []
  readonly #stop: () => Promise<void>
  #script: Script
  #arrived: (() => void)[] = []

  private constructor(port: number, stop: () => Promise<void>, script: Script) {
    this.port = port
    this.#stop = stop
    this.#script = script
  }

  static async start(script: Script = answerEmpty, port = 0): Promise<ScriptedOrigin> {
    let origin: ScriptedOrigin | undefined
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      void origin!.#serve(new RawConnection(socket))
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, '127.0.0.1', resolve)
    })
    const stop = async (): Promise<void> => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    }
    origin = new ScriptedOrigin((server.address() as AddressInfo).port, stop, script)
    return origin
  }

  /** From the next request on, and for those alone whose head has not come yet. Forgets the former requests. */
  play(script: Script): void {
    this.#script = script
    this.requests.length = 0
  }

  /** The request number `index` since `play`, as soon as its head has come. */
  async request(index = 0): Promise<OriginRequest> {
    while (this.requests.length <= index) await new Promise<void>((resolve) => this.#arrived.push(resolve))
    return this.requests[index]!
  }

  /** @throws what a script has thrown */
  async stop(): Promise<void> {
    await this.#stop()
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, 'a script of the local server failed')
  }

  async #serve(connection: RawConnection): Promise<void> {
    this.connections.push(connection)
    try {
      for (let from = 0; ; ) {
        const head = await nextHead(connection, from)
        if (head === undefined) {
          connection.end()
          return
        }
        const request = { head, connection, from, whole: () => wholeRequest(connection, request.from) }
        this.requests.push(request)
        for (const tell of this.#arrived.splice(0)) tell()
        await this.#script(request)
        if (connection.ending === 'cut' || !connection.socket.writable) return
        from = (await request.whole()).end
      }
    } catch (error) {
      // A connection that was cut under a script is what some tests are about.
      if (connection.ending === 'open') this.#failures.push(error)
    }
  }
}

/** The head at `from`; undefined if the peer ends first. A kept connection may be silent for as long as it likes. */
async function nextHead(connection: RawConnection, from: number): Promise<Head | undefined> {
  const seen = await connection.until(
    'a request',
    () => {
      const head = readHead(connection.bytes, from)
      return head !== undefined || connection.ending !== 'open' ? { head } : undefined
    },
    Number.POSITIVE_INFINITY,
  )
  return seen.head
}

function wholeRequest(connection: RawConnection, from: number): Promise<Message> {
  return connection.until('the whole request', () => {
    const request = readRequest(connection.bytes, from)
    if (request === undefined && connection.ending !== 'open')
      throw new Error(`${connection.ending} before the request was whole`)
    return request
  })
}

const answerEmpty: Script = ({ connection }) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
