/** A TCP port in front of another that can be out of reach for a while. Knows nothing of what passes. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { resetSocket } from '@postern/protocol/socket'

export class BreakableLink {
  readonly port: number
  readonly #stop: () => Promise<void>
  readonly #sockets = new Set<Socket>()
  #broken = false

  private constructor(port: number, stop: () => Promise<void>) {
    this.port = port
    this.#stop = stop
  }

  static async start(to: number): Promise<BreakableLink> {
    let link: BreakableLink | undefined
    const server = createServer((socket) => link!.#join(socket, to)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const stop = async (): Promise<void> => {
      const closed = once(server, 'close')
      server.close()
      await closed
    }
    link = new BreakableLink((server.address() as AddressInfo).port, stop)
    return link
  }

  /** Whoever is connected is cut, and so is everybody who comes. */
  break(): void {
    this.#broken = true
    for (const socket of this.#sockets) resetSocket(socket)
  }

  mend(): void {
    this.#broken = false
  }

  async stop(): Promise<void> {
    this.break()
    await this.#stop()
  }

  #join(near: Socket, to: number): void {
    if (this.#broken) return resetSocket(near)
    const far = connect(to, '127.0.0.1')
    for (const [from, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      // What goes wrong on one side ends the other.
      from.on('error', () => other.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        other.destroy()
      })
      from.pipe(other)
    }
  }
}
