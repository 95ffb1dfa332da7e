/** How long a request waits for the first byte of its response, and when the wait is reported to the agent. */
import { ORIGIN_FIRST_BYTE_MS, STILL_WAITING_MS } from '@postern/protocol/limits'

/** What it needs to know of the request's route. */
export interface PatientRoute {
  /** The tunnel's limit in milliseconds, Infinity for none; undefined: the usual one. */
  readonly firstByteMs?: number | undefined
}

export class OriginPatience {
  readonly #limitMs: number
  #since = 0
  #reported = false

  constructor({ firstByteMs = ORIGIN_FIRST_BYTE_MS }: PatientRoute) {
    this.#limitMs = firstByteMs
  }

  /** The wait begins, or begins anew with an interim answer. Answers after how long to ask `next`; milliseconds, as all here. */
  begin(now: number): number {
    this.#since = now
    return this.#reported ? this.#limitMs : Math.min(STILL_WAITING_MS, this.#limitMs)
  }

  /** How much longer to wait; undefined: its time is over. Calls `report` the first time that it waits on. */
  next(now: number, report: () => void): number | undefined {
    const leftMs = this.#limitMs - (now - this.#since)
    if (leftMs <= 0) return undefined
    if (!this.#reported) report()
    this.#reported = true
    return leftMs
  }
}
