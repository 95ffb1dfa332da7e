/** The connections that this process has opened and not closed yet, whatever library opened them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

const OPENED = 'net.client.socket'

export class ClientSockets {
  readonly #open = new Set<Socket>()

  constructor() {
    subscribe(OPENED, this.#opened)
  }

  /** Destroys the connections to these ports. */
  leave(ports: readonly number[]): void {
    for (const socket of this.#open) if (ports.includes(socket.remotePort ?? 0)) socket.destroy()
  }

  /** Stops watching. Harmless when repeated. */
  stop(): void {
    unsubscribe(OPENED, this.#opened)
    this.#open.clear()
  }

  readonly #opened = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
  }
}
