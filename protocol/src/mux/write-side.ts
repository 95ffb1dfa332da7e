/** Decides what leaves next: the expedited stream, then control frames, then streams in turn. */
import { ControlQueue } from './control-queue.ts'
import { Flag } from './frame.ts'
import { Output } from './output.ts'
import type { MuxStream } from './raw-stream.ts'
import { ReadyList } from './ready-list.ts'

export class WriteSide {
  readonly #outputReady: () => void
  readonly #output = new Output()
  readonly #control = new ControlQueue()
  /** RSTs, which leave behind what the expedited stream was given before them. */
  readonly #resets = new ControlQueue()
  #expeditedStream: MuxStream | undefined
  readonly #expedited = new ReadyList()
  readonly #inTurn = new ReadyList()
  /** The caller knows that output is waiting. */
  #announced = false

  constructor(outputReady: () => void) {
    this.#outputReady = outputReady
  }

  get waiting(): boolean {
    const framesWait = !this.#control.empty || (!this.#resets.empty && !this.#holdsResets)
    return framesWait || this.#expedited.first !== undefined || this.#inTurn.first !== undefined
  }

  /** Control frames that wait and that the peer has caused. */
  get answers(): number {
    return this.#control.answers + this.#resets.answers
  }

  /** The expedited stream has bytes left that the peer's window does not let through. */
  get #holdsResets(): boolean {
    return this.#expeditedStream?.queues === true
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
    this.#expeditedStream = stream
    if (waits) this.#expedited.add(stream)
  }

  /** The stream is gone, and has nothing more to send. */
  gone(stream: MuxStream): void {
    if (stream === this.#expeditedStream) {
      this.#expeditedStream = undefined
      if (!this.#resets.empty) this.#announce()
    }
    if (stream.readyIn === undefined) return
    stream.readyIn.remove(stream)
    // Whoever waited for room may find nothing to send, and then looks no more: what comes next must be told of.
    if (!this.waiting) this.#announced = false
  }

  /** Queues a frame without payload. `isAnswer`: the peer has caused it. */
  control(type: number, flags: number, id: number, length: number, isAnswer: boolean): void {
    const isReset = (flags & Flag.rst) !== 0
    const queue = isReset ? this.#resets : this.#control
    queue.push(type, flags, id, length, isAnswer)
    if (!isReset || !this.#holdsResets) this.#announce()
  }

  clearControl(): void {
    this.#control.clear()
    this.#resets.clear()
  }

  /**
   * Everything that may leave now, until `maxBytes` of payload of the streams in turn are reached. A stream whose writer
   * waited and has room again is added to `roomy`.
   */
  pull(maxBytes: number, roomy: MuxStream[]): Buffer[] {
    this.#output.begin()
    while (this.#expedited.first !== undefined) this.#sendFrame(this.#expedited.first, roomy)
    if (!this.#control.empty) this.#control.moveTo(this.#output)
    if (!this.#resets.empty && !this.#holdsResets) this.#resets.moveTo(this.#output)
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
