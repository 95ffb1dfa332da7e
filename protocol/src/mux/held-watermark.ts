/** Who must give way when received bytes that nobody has consumed fill the memory. Decides; acts on nothing. */

/** A channel's multiplexer, as far as this decision needs it. */
export interface Holder {
  /** Bytes received and not yet consumed on its live streams. */
  readonly heldBytes: number
}

/**
 * `refuse`: the holder gets no new streams until a later verdict says otherwise.
 * `reset`: besides, its longest-stalled stream is to be reset.
 */
export type HeldVerdict<H extends Holder> =
  | { kind: 'calm' }
  | { kind: 'refuse'; holder: H }
  | { kind: 'reset'; holder: H }

const REFUSE_ABOVE = 1 / 2
const RESET_ABOVE = 3 / 4

/** Judges all channels of a process against its memory limit in bytes. What counts is what is held, not what windows promise. */
export function judgeHeld<H extends Holder>(holders: Iterable<H>, memoryLimitBytes: number): HeldVerdict<H> {
  let total = 0
  let largest: H | undefined
  for (const holder of holders) {
    total += holder.heldBytes
    if (largest === undefined || holder.heldBytes > largest.heldBytes) largest = holder
  }
  if (largest === undefined || total <= memoryLimitBytes * REFUSE_ABOVE) return { kind: 'calm' }
  return { kind: total > memoryLimitBytes * RESET_ABOVE ? 'reset' : 'refuse', holder: largest }
}
