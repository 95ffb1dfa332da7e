/** Asks a silent peer for a sign of life, and says when none came. One timer; knows nothing of what a ping is. */
import { HEARTBEAT_MS, SILENCE_MS } from '../limits.ts'

export interface HeartbeatOptions {
  ping(): void
  /** Bytes received so far: any of them is life. */
  received(): number
  /** Nothing came for `silenceMs` after a ping. Called once; the heartbeat has stopped. */
  silent(): void
  readonly intervalMs?: number
  readonly silenceMs?: number
}

/**
 * Silence is counted in intervals that were waited for, never read from a clock: a machine that slept for an hour, or a process that was
 * stopped, pings once more before it judges.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  readonly #intervalMs: number
  readonly #silenceMs: number
  #timer: NodeJS.Timeout | undefined
  #judgement: NodeJS.Immediate | undefined
  /** Bytes received when the pings that are not yet answered began. */
  #receivedThen = -1
  /** Milliseconds waited since the first unanswered ping; 0 if there is none. */
  #silentMs = 0
  #waitMs: number

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? HEARTBEAT_MS
    this.#silenceMs = options.silenceMs ?? SILENCE_MS
    this.#waitMs = this.#intervalMs
    this.#timer = setTimeout(this.#tick, this.#waitMs)
  }

  /** Harmless when repeated. */
  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#judgement)
    this.#timer = undefined
  }

  readonly #tick = (): void => {
    // After the poll phase: bytes that came while this process was busy are read before they are missed.
    this.#judgement = setImmediate(this.#judge)
  }

  readonly #judge = (): void => {
    const received = this.#options.received()
    this.#silentMs = received === this.#receivedThen ? this.#silentMs + this.#waitMs : 0
    this.#receivedThen = received
    if (this.#silentMs >= this.#silenceMs) {
      this.stop()
      this.#options.silent()
      return
    }
    this.#waitMs = Math.min(this.#intervalMs, this.#silenceMs - this.#silentMs)
    this.#timer = setTimeout(this.#tick, this.#waitMs)
    this.#options.ping()
  }
}
