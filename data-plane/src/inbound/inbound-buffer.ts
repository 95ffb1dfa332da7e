/** What comes from a visitor: handed on as far as somebody takes it, kept as far as not, and the socket paused meanwhile. Knows nothing of HTTP. */
import type { Socket } from 'node:net'

/** Takes what a visitor sends. */
export interface Taker {
  /** Takes some of the chunk, from `from` on; answers the index behind it, or `NOT_NOW`. */
  take(chunk: Buffer, from: number): number
  /** Whether what was not taken will be asked for later; otherwise it is dropped. */
  readonly wantsRest: boolean
  /** So many bytes may wait before nothing further is read. */
  readonly mayWaitBytes: number
}

export const NOT_NOW = -1

export class VisitorInlet {
  readonly #socket: Socket
  readonly #taker: Taker
  /** Read, but not yet wanted: the next pipelined request, or bytes behind an upgrade. */
  #waiting: Buffer | undefined
  #held = false
  #feeding = false

  constructor(socket: Socket, taker: Taker) {
    this.#socket = socket
    this.#taker = taker
  }

  /** Nothing is handed on just now. */
  get held(): boolean {
    return this.#held
  }

  bytes(chunk: Buffer): void {
    if (this.#waiting !== undefined) this.#waiting = Buffer.concat([this.#waiting, chunk])
    else this.#feed(chunk)
    this.adjust()
  }

  /** Whether anything is handed on, from now on. What waits is, at once. */
  setReading(on: boolean): void {
    this.#held = !on
    if (on) this.#feedWaiting()
    this.adjust()
  }

  /** Somebody takes bytes again who did not: what waits is handed on. */
  goOn(): void {
    this.#feedWaiting()
    this.adjust()
  }

  /** What was taken already is wanted again, before all that waits. */
  putBack(pieces: readonly Buffer[]): void {
    if (pieces.length === 0) return
    this.#waiting = Buffer.concat(this.#waiting === undefined ? pieces : [...pieces, this.#waiting])
  }

  /** What waits goes nowhere. */
  drop(): void {
    this.#waiting = undefined
    this.#held = false
  }

  /** A hold is over, but nothing is handed on by that. */
  unhold(): void {
    this.#held = false
  }

  /** Reads from the socket, or does not, as things stand. */
  adjust(): void {
    const waiting = this.#waiting?.length ?? 0
    if (this.#held || waiting > this.#taker.mayWaitBytes) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
  }

  #feed(chunk: Buffer): void {
    this.#feeding = true
    let from = 0
    while (from < chunk.length) {
      const next = this.#taker.take(chunk, from)
      if (next === NOT_NOW) break
      from = next
    }
    if (from < chunk.length && this.#taker.wantsRest) this.#waiting = chunk.subarray(from)
    this.#feeding = false
  }

  #feedWaiting(): void {
    const waiting = this.#waiting
    if (waiting === undefined || this.#feeding) return
    this.#waiting = undefined
    this.#feed(waiting)
  }
}
