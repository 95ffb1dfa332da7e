/** For tests: flows whose senders are limited by their windows alone, over paths with a round trip, in simulated milliseconds. */
import { ReceiveWindow } from '../flow-window.ts'
import type { WindowShare } from '../window-budget.ts'

const SEGMENT_BYTES = 16 * 1024

export class SimulatedFlow {
  readonly window: ReceiveWindow
  /** Bytes that have arrived. */
  received = 0
  /** How much the sender has to send each millisecond at most: 0 is an idle flow. */
  bytesPerMs = Infinity
  /** Whether the reader passes on what comes. */
  reads = true
  readonly #roundTripMs: number
  readonly #credits: { readonly at: number; readonly bytes: number }[] = []
  #maySend: number

  constructor(share: WindowShare, roundTripMs = 100) {
    this.window = new ReceiveWindow(share)
    this.#roundTripMs = roundTripMs
    this.#maySend = this.window.available
  }

  /** One millisecond. */
  step(now: number): void {
    while (this.#credits.length > 0 && this.#credits[0]!.at <= now) this.#maySend += this.#credits.shift()!.bytes
    for (let left = Math.min(this.bytesPerMs, this.#maySend); left > 0; left -= SEGMENT_BYTES)
      this.#arrive(Math.min(SEGMENT_BYTES, left), now)
  }

  /** What the reader has kept is passed on. */
  readOn(now: number): void {
    this.reads = true
    this.#consume(this.window.unconsumed, now)
  }

  #arrive(bytes: number, now: number): void {
    this.#maySend -= bytes
    this.received += bytes
    if (!this.window.arrive(bytes, now)) throw new Error('more than the window')
    this.window.deliver(bytes, now)
    if (this.reads) this.#consume(bytes, now)
  }

  #consume(bytes: number, now: number): void {
    this.window.consume(bytes)
    if (!this.window.creditDue) return
    const credit = this.window.takeCredit(now, this.#roundTripMs)
    if (credit > 0) this.#credits.push({ at: now + this.#roundTripMs, bytes: credit })
  }
}

/** Lets so many milliseconds pass for all flows, from `now` on. Returns the time, and how many bytes each has received in it. */
export function pass(flows: readonly SimulatedFlow[], now: number, ms: number): { now: number; received: number[] } {
  const before = flows.map(({ received }) => received)
  for (const end = now + ms; now < end; now++) for (const flow of flows) flow.step(now)
  return { now, received: flows.map(({ received }, index) => received - before[index]!) }
}
