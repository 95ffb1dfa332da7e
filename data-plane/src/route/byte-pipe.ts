/** Joins two streams: bytes both ways as they come, with back-pressure, each direction ending by itself. Knows nothing of what they carry. */
import type { TunnelFault } from '@postern/protocol/fault'
import type { ByteStream, StreamListener } from '@postern/protocol/mux'

/** One end of a pipe: what comes from `stream` goes to the other end. */
export class PipeEnd implements StreamListener {
  readonly stream: ByteStream
  readonly #events: PipeEvents
  other!: PipeEnd
  ended = false
  /** Bytes the other end had no room for, and which are not yet given back to this stream's window. */
  #owed = 0
  /** Bytes that may not pass yet. */
  #stopped: Buffer[] | undefined
  #endStopped = false

  constructor(stream: ByteStream, events: PipeEvents) {
    this.stream = stream
    this.#events = events
  }

  data(chunk: Buffer): void {
    if (this.#stopped !== undefined) this.#stopped.push(chunk)
    else if (this.#events.mayPass?.() === false) this.#stopped = [chunk]
    else this.#pass(chunk)
  }

  end(): void {
    if (this.#stopped !== undefined) this.#endStopped = true
    else this.#passEnd()
  }

  reset(why: TunnelFault): void {
    this.#events.broken(this, why)
  }

  /** Room again on this stream: what the other end owes is paid. */
  writable(): void {
    this.other.#pay()
  }

  /** What was stopped goes on. */
  resume(): void {
    const stopped = this.#stopped
    this.#stopped = undefined
    for (const chunk of stopped ?? []) this.#pass(chunk)
    if (!this.#endStopped) return
    this.#endStopped = false
    this.#passEnd()
  }

  #pass(chunk: Buffer): void {
    if (this.other.stream.write(chunk)) this.stream.consume(chunk.length)
    else this.#owed += chunk.length
  }

  #passEnd(): void {
    this.ended = true
    this.other.stream.end()
    if (this.other.ended) this.#events.over()
  }

  #pay(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.stream.consume(owed)
  }
}

export interface PipeEvents {
  /** Whether bytes may pass just now; asked for each chunk, until it says no. Then `resume` is awaited. */
  mayPass?(): boolean
  /** Both directions have ended. */
  over(): void
  /** The stream of that end was reset; the other one is still there. */
  broken(end: PipeEnd, why: TunnelFault): void
}

/** Both streams are listened to from now on. Returns the ends. */
export function pipe(
  one: ByteStream,
  oneEvents: PipeEvents,
  two: ByteStream,
  twoEvents: PipeEvents,
): [PipeEnd, PipeEnd] {
  const first = new PipeEnd(one, oneEvents)
  const second = new PipeEnd(two, twoEvents)
  first.other = second
  second.other = first
  one.listen(first)
  two.listen(second)
  return [first, second]
}
