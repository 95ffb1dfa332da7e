/** A TCP path between an agent and its channel server that is cut after a given byte, by FIN or by RST. Knows nothing of what passes. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { resetSocket } from '@postern/protocol/socket'

export type CutBy = 'FIN' | 'RST'
export type Direction = 'toServer' | 'toAgent'

export interface Cut {
  readonly direction: Direction
  /** Bytes that still pass, counted from `arm`. */
  readonly after: number
  readonly by: CutBy
}

/** For one connection. */
export class CutLink {
  readonly port: number
  /** Bytes that have passed since `arm`. */
  readonly passed: Record<Direction, number> = { toServer: 0, toAgent: 0 }
  #cut: Cut | undefined
  #done = false
  #agent: Socket | undefined
  #server: Socket | undefined
  readonly #stopListening: () => void

  static async open(channelPort: number): Promise<CutLink> {
    const listener = createServer({ noDelay: true, allowHalfOpen: true })
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const link = new CutLink((listener.address() as AddressInfo).port, () => listener.close())
    listener.once('connection', (agent) => link.#join(agent, channelPort))
    return link
  }

  private constructor(port: number, stopListening: () => void) {
    this.port = port
    this.#stopListening = stopListening
  }

  /** From now on the bytes are counted. */
  arm(cut: Cut): void {
    this.passed.toServer = 0
    this.passed.toAgent = 0
    this.#cut = cut
  }

  /** Whether the path is cut. */
  get done(): boolean {
    return this.#done
  }

  /** Cuts now, whatever has passed. Harmless when repeated. */
  sever(by: CutBy): void {
    if (this.#done) return
    this.#done = true
    this.#end(by)
  }

  #end(by: CutBy): void {
    this.#stopListening()
    for (const socket of [this.#agent, this.#server]) {
      if (by === 'FIN') socket?.end()
      else if (socket !== undefined) resetSocket(socket)
    }
  }

  #join(agent: Socket, channelPort: number): void {
    const server = connect({ host: '127.0.0.1', port: channelPort, noDelay: true, allowHalfOpen: true })
    this.#agent = agent
    this.#server = server
    this.#pass('toServer', agent, server)
    this.#pass('toAgent', server, agent)
  }

  #pass(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => this.#relay(direction, chunk, to))
    from.on('end', () => to.end())
    from.on('error', () => {
      // The end of one side is the end of the path; 'close' tells the other.
    })
    from.on('close', () => to.destroy())
  }

  #relay(direction: Direction, chunk: Buffer, to: Socket): void {
    if (this.#done) return
    const cut = this.#cut
    const left = cut?.direction === direction ? cut.after - this.passed[direction] : Infinity
    this.passed[direction] += chunk.length
    if (cut === undefined || chunk.length < left) {
      to.write(chunk)
      return
    }
    this.#done = true
    // The kernel has the last bytes before the cut follows them.
    to.write(chunk.subarray(0, left), () => this.#end(cut.by))
  }
}
