/** How long to wait before the next attempt. Knows nothing of what is attempted; randomness is handed in. */
import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, BACKOFF_RESET_AFTER_MS } from '@postern/protocol/limits'

/**
 * Full jitter: anything from nothing to the ceiling, which doubles from BACKOFF_FIRST_MS to BACKOFF_LONGEST_MS. Agents
 * that were cut at once come back spread over the whole interval instead of in waves.
 *
 * @param failures attempts that have failed in a row, from 0
 * @param random uniform in [0, 1)
 * @returns milliseconds
 */
export function delayAfter(failures: number, random: () => number): number {
  const ceiling = Math.min(BACKOFF_LONGEST_MS, BACKOFF_FIRST_MS * 2 ** failures)
  return Math.floor(random() * ceiling)
}

/**
 * Failures to count from once a connection is gone. Only one that lasted proves the path: a server that accepts and
 * cuts at once must not be hammered at the first step for ever.
 *
 * @param lastedMs how long the connection was up
 */
export const failuresAfterConnection = (failures: number, lastedMs: number): number =>
  lastedMs >= BACKOFF_RESET_AFTER_MS ? 0 : failures
