/** A stream to a local server by way of the task that holds its tunnel, as the task sees it that asks. Knows nothing of where that task is. */
import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { REPLAY_BYTES } from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import { HOP_ANSWER, type HopAnswer } from './hop-preamble.ts'
import type { PooledStream } from './stream-pool.ts'

/** Whoever opened it: the way to one claim of a name. */
export interface HopHost {
  readonly name: Subdomain
  readonly epoch: number
  /** An exchange has it; or it waits for the next. */
  begun(): void
  rested(): void
  /** The other task does not have the tunnel, or does not serve it. `gone` follows. */
  refused(streamId: number): void
  gone(stream: HopStream): void
  /** The other task is about to end what it carries. */
  ending(): void
}

/**
 * Until the other task has answered, no more than the head and REPLAY_BYTES go out, so that whoever writes can keep all of it and send it
 * elsewhere. Then it is a mux stream like any other.
 */
export class HopStream implements PooledStream {
  readonly id: number
  readonly host: HopHost
  readonly #stream: RawStream
  #listener: StreamListener | undefined
  #answer: HopAnswer | undefined
  #headSent = false
  /** Bytes of the body that were written before the answer, and those of them that have not left. */
  #aheadBytes = 0
  #heldBack: Buffer[] = []
  #endHeldBack = false
  #busy = false
  /** An exchange has it, and not a byte of the response has come. */
  #awaiting = false
  #ended = false
  #peerEnded = false
  #gone = false

  constructor(stream: RawStream, host: HopHost, preamble: Buffer) {
    this.id = stream.id
    this.#stream = stream
    this.host = host
    stream.listen({
      data: (chunk) => this.#heard(chunk),
      end: () => this.#heardEnd(),
      reset: (why) => this.#lost(why),
      writable: () => this.#listener?.writable(),
    })
    stream.write(preamble)
  }

  get tentative(): boolean {
    return this.#answer === undefined
  }

  get single(): boolean {
    return this.#answer === HOP_ANSWER.judged
  }

  get awaiting(): boolean {
    return this.#awaiting
  }

  begin(): void {
    this.#busy = true
    this.#awaiting = true
    this.host.begun()
  }

  rest(): void {
    this.#awaiting = false
    if (!this.#busy) return
    this.#busy = false
    this.host.rested()
  }

  listen(listener: StreamListener): void {
    this.#listener = listener
  }

  write(chunk: Buffer): boolean {
    return this.#answer === undefined ? this.#writeAhead(chunk) : this.#stream.write(chunk)
  }

  end(): void {
    this.#ended = true
    if (this.#heldBack.length > 0) this.#endHeldBack = true
    else this.#stream.end()
    if (this.#peerEnded) this.#over()
  }

  reset(): void {
    this.#stream.reset()
    this.#over()
  }

  consume(bytes: number): void {
    this.#stream.consume(bytes)
  }

  /** Nothing further will come of it, and its user has not chosen that. */
  abandon(why: TunnelFault): void {
    if (this.#gone) return
    this.#stream.reset()
    this.#lost(why)
  }

  // ── what comes from the other task ────────────────────────────────────────────────────────────────────────────────

  #heard(chunk: Buffer): void {
    if (this.#answer === undefined) return this.#answered(chunk)
    this.#awaiting = false
    this.#listener?.data(chunk)
  }

  #answered(chunk: Buffer): void {
    this.#stream.consume(1)
    const answer = chunk[0] as HopAnswer
    if (answer !== HOP_ANSWER.taken && answer !== HOP_ANSWER.judged) {
      this.host.refused(this.id)
      return this.abandon(new TunnelFault('tunnel-moved'))
    }
    this.#answer = answer
    const room = this.#flush()
    if (this.#aheadBytes >= REPLAY_BYTES && room) this.#listener?.writable()
    if (chunk.length > 1) this.#heard(chunk.subarray(1))
  }

  #heardEnd(): void {
    // Whoever has not answered has not taken it: that is no end of a response.
    if (this.#answer === undefined) return this.abandon(new TunnelFault('channel-lost'))
    this.#peerEnded = true
    this.#listener?.end()
    if (this.#ended) this.#over()
  }

  #lost(why: TunnelFault): void {
    const listener = this.#listener
    this.#over()
    listener?.reset(why)
  }

  // ── before the answer ─────────────────────────────────────────────────────────────────────────────────────────────

  #writeAhead(chunk: Buffer): boolean {
    if (!this.#headSent) {
      this.#headSent = true
      this.#stream.write(chunk)
      return true
    }
    const room = Math.max(0, REPLAY_BYTES - this.#aheadBytes)
    this.#aheadBytes += chunk.length
    if (room > 0) this.#stream.write(chunk.subarray(0, room))
    if (room < chunk.length) this.#heldBack.push(chunk.subarray(room))
    return this.#aheadBytes < REPLAY_BYTES
  }

  /** False: enough for now. */
  #flush(): boolean {
    let room = true
    for (const piece of this.#heldBack) room = this.#stream.write(piece)
    this.#heldBack = []
    if (this.#endHeldBack) this.#stream.end()
    return room
  }

  #over(): void {
    if (this.#gone) return
    this.#gone = true
    this.#listener = undefined
    this.#heldBack = []
    this.rest()
    this.host.gone(this)
  }
}
