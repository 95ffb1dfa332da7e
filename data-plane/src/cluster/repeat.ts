/** One round after the other at even intervals, never two at once. Knows nothing of what a round does. */
import { type TunnelFault, toFault } from '@postern/protocol/fault'

export interface Repetition {
  /** From the beginning of one round to the beginning of the next, unless a round takes longer. */
  readonly everyMs: number
  /** The same behind a round that failed. */
  readonly retryMs: number
  round(): Promise<void>
  /** Monotonic milliseconds. */
  now(): number
  /** A round failed, and the one before it had not: an outage is told once, not once for each round. */
  failed(fault: TunnelFault): void
  /** A round went well, and the one before it had failed. */
  recovered(): void
}

/**
 * The first round begins at once. Returns the end of it: no further round begins, and it resolves when the one under way is
 * over. Harmless when repeated.
 */
export function repeat({ everyMs, retryMs, round, now, failed, recovered }: Repetition): () => Promise<void> {
  let failing = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  const run = async (): Promise<void> => {
    const began = now()
    try {
      await round()
      if (failing) recovered()
      failing = false
    } catch (error) {
      if (!failing && !stopped) failed(toFault(error))
      failing = true
    }
    if (!stopped) timer = setTimeout(next, Math.max(0, (failing ? retryMs : everyMs) - (now() - began)))
  }
  const next = (): void => {
    running = run()
  }
  let running = run()

  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}
