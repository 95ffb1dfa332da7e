/** Lets a socket be read to its end although writes to it fail. */
import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/**
 * A server that answers and closes without having read the rest of a request resets the connection. The system keeps what it had sent before (Linux does not clear the receive
 * queue of a connection that was reset), but Node's sockets destroy themselves at the first write that fails, and the answer is lost. With this, a failed write and all behind
 * it count as done. The socket is destroyed when it has been read to its end. Works for `net` and `tls` sockets; to be made before anything is written.
 */
export class FailedWrites {
  /** Why the first failed. */
  #failure: NodeJS.ErrnoException | undefined

  constructor(socket: Socket) {
    const write = socket._write.bind(socket)
    const writev = socket._writev?.bind(socket)
    let done: Done = () => {}
    // One for the socket: a stream has one write under way.
    const settle: Done = (error) => {
      if (error) this.#failure ??= error
      done()
      if (error && socket.readableEnded) socket.destroy()
    }
    socket._write = (chunk, encoding, whenDone) => {
      done = whenDone
      if (this.#failure === undefined) write(chunk, encoding, settle)
      else settle()
    }
    if (writev !== undefined)
      socket._writev = (chunks, whenDone) => {
        done = whenDone
        if (this.#failure === undefined) writev(chunks, settle)
        else settle()
      }
    socket.once('end', () => {
      if (this.#failure !== undefined) socket.destroy()
    })
  }

  /**
   * Whether a write failed because the peer had reset the connection before it ended its own direction: what was read is then not the whole. After its end, the system says
   * EPIPE instead (tcp_reset in CLOSE_WAIT), and what was read is whole.
   */
  get cut(): boolean {
    return this.#failure !== undefined && this.#failure.code !== 'EPIPE'
  }
}
