/** What a greedy tenant's process is told, and what it answers. */
import type { ChannelTicket } from '@postern/protocol/ticket'

/** Told first; answered when its channels stand. */
export interface GreedyOrder {
  readonly publicPort: number
  readonly tickets: readonly ChannelTicket[]
  /** As visitors name the tunnels, in the order of the tickets. */
  readonly hosts: readonly string[]
  /** Visitors of each, none of whom reads. */
  readonly visitors: number
}

/**
 * `stall` is answered when all visitors have asked and have been answered, refused or cut, and when the buffers on the way of those who
 * were answered are full, so that nothing moves any more; `leave` when all have gone.
 */
export type GreedyCommand = 'stall' | 'leave'

export interface GreedyCounts {
  /** Who stand there and do not read. */
  readonly stalled: number
  /** Who were refused, or cut since the last `stall`. */
  readonly gone: number
}
