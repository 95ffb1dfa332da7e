/** Streams that have something to send, in turn. An intrusive list: joining and leaving allocate nothing. */
import type { MuxStream } from './raw-stream.ts'

export class ReadyList {
  first: MuxStream | undefined
  #last: MuxStream | undefined

  /** Puts a stream that is in no list behind the others. */
  add(stream: MuxStream): void {
    stream.readyIn = this
    stream.previousReady = this.#last
    if (this.#last === undefined) this.first = stream
    else this.#last.nextReady = stream
    this.#last = stream
  }

  /** Takes a stream that is in this list out of it. */
  remove(stream: MuxStream): void {
    const { nextReady, previousReady } = stream
    if (previousReady === undefined) this.first = nextReady
    else previousReady.nextReady = nextReady
    if (nextReady === undefined) this.#last = previousReady
    else nextReady.previousReady = previousReady
    stream.readyIn = stream.nextReady = stream.previousReady = undefined
  }
}
