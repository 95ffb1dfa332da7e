/** Reads no further from a peer that takes none of the answers it causes, and reports one that does so for too long. */
import type { Socket } from 'node:net'
import { CONTROL_STALL_MS } from '../limits.ts'

export class ReadPause {
  readonly #socket: Pick<Socket, 'pause' | 'resume'>
  readonly #stalled: () => void
  #deadline: NodeJS.Timeout | undefined

  /** @param stalled called after CONTROL_STALL_MS of a pause */
  constructor(socket: Pick<Socket, 'pause' | 'resume'>, stalled: () => void) {
    this.#socket = socket
    this.#stalled = stalled
  }

  /** Harmless when repeated. */
  begin(): void {
    if (this.#deadline !== undefined) return
    this.#socket.pause()
    this.#deadline = setTimeout(this.#stalled, CONTROL_STALL_MS)
  }

  /** Harmless when nothing was paused. */
  end(): void {
    if (this.#deadline === undefined) return
    this.cancel()
    this.#socket.resume()
  }

  /** The channel is over: nobody is to be reported any more. */
  cancel(): void {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
  }
}
