/** Decides what leaves next: expedited streams, then control frames, then streams in turn. Knows nothing of sockets or of what arrives. */
import { ControlQueue } from './control-queue.ts'
import { Output } from './output.ts'
import type { MuxStream } from './raw-stream.ts'
import { ReadyList } from './ready-list.ts'

export class WriteSide {
  readonly #outputReady: () => void
  readonly #output = new Output()
  readonly #control = new ControlQueue()
  readonly #expedited = new ReadyList()
  readonly #inTurn = new ReadyList()
  /** The caller knows that output is waiting. */
  #announced = false

  constructor(outputReady: () => void) {
    this.#outputReady = outputReady
  }

  get waiting(): boolean {
    return this.#expedited.first !== undefined || !this.#control.empty || this.#inTurn.first !== undefined
  }

  /** The stream has something to send; it gets its turn. */
  ready(stream: MuxStream): void {
    if (stream.readyIn !== undefined) return
    const list = stream.expedited ? this.#expedited : this.#inTurn
    list.add(stream)
    this.#announce()
  }

  expedite(stream: MuxStream): void {
    const waits = stream.readyIn !== undefined
    stream.readyIn?.remove(stream)
    stream.expedited = true
    if (waits) this.#expedited.add(stream)
  }

  /** The stream is gone, and has nothing more to send. */
  gone(stream: MuxStream): void {
    if (stream.readyIn === undefined) return
    stream.readyIn.remove(stream)
    // Whoever waited for room may find nothing to send, and then looks no more: what comes next must be told of.
    if (!this.waiting) this.#announced = false
  }

  /** Queues a frame without payload. False: so many wait already that the peer cannot be reading. */
  control(type: number, flags: number, id: number, length: number): boolean {
    const hasRoom = this.#control.push(type, flags, id, length)
    if (hasRoom) this.#announce()
    return hasRoom
  }

  clearControl(): void {
    this.#control.clear()
  }

  /**
   * Everything that may leave now, until `maxBytes` of payload of the streams in turn are reached. A stream whose writer
   * waited and has room again is added to `roomy`.
   */
  pull(maxBytes: number, roomy: MuxStream[]): Buffer[] {
    this.#output.begin()
    while (this.#expedited.first !== undefined) this.#sendFrame(this.#expedited.first, roomy)
    this.#control.moveTo(this.#output)
    let bytes = 0
    while (this.#inTurn.first !== undefined && bytes < maxBytes) bytes += this.#sendFrame(this.#inTurn.first, roomy)
    this.#announced = this.#inTurn.first !== undefined
    return this.#output.finish()
  }

  /** One frame of the stream, which then goes behind the others if it has more. */
  #sendFrame(stream: MuxStream, roomy: MuxStream[]): number {
    const list = stream.readyIn
    list?.remove(stream)
    const bytes = stream.sendFrame(this.#output)
    if (stream.sendable) list?.add(stream)
    if (stream.writerHasRoom) roomy.push(stream)
    return bytes
  }

  #announce(): void {
    if (this.#announced) return
    this.#announced = true
    this.#outputReady()
  }
}
