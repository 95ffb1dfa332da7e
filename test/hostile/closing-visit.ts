/** One request on a connection of its own, read until the connection ends, and whether that was a FIN or a reset. Knows nothing of HTTP. */
import { connect, type Socket } from 'node:net'

export interface ClosingVisit {
  readonly port: number
  /** Writes the request. */
  ask(socket: Socket): void
  heard(chunk: Buffer): void
}

/**
 * Node 20 reports a reset that arrives together with data as an end (its libuv does; Node 24's does not). The system knows better, and
 * says so at the next write; one of no bytes tells without being sent.
 */
const PROBE = Buffer.alloc(0)

export function visitUntilClosed({ port, ask, heard }: ClosingVisit): Promise<'FIN' | 'RST'> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    socket.on('data', heard)
    socket.on('error', () => resolve('RST'))
    socket.on('end', () => {
      socket.write(PROBE, (error) => {
        resolve(error ? 'RST' : 'FIN')
        socket.destroy()
      })
    })
    ask(socket)
  })
}
