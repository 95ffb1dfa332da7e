/** Decides which channel gives way when bytes that wait in channels fill the memory. */

/** A channel's multiplexer, as far as this decision needs it. */
export interface Holder {
  /** Memory that its live streams hold: bytes received and not yet consumed, bytes written and not yet sent. */
  readonly heldBytes: number
  /** Who answers for it: channels of one tenant are judged together first. Undefined: several share it, and it is judged by itself. */
  readonly tenant?: string
}

/**
 * `refuse`: the holder gets no new streams until a later verdict says otherwise.
 * `reset`: besides, its longest-stalled stream is to be reset.
 */
export type HeldVerdict<H extends Holder> =
  | { kind: 'calm' }
  | { kind: 'refuse'; holder: H }
  | { kind: 'reset'; holder: H }

/** What the channels of one tenant hold together. */
interface Holding<H> {
  bytes: number
  largest: H
  largestBytes: number
}

const REFUSE_ABOVE = 1 / 2
const RESET_ABOVE = 3 / 4

/**
 * Judges all channels of a process against its memory limit in bytes. What counts is what is held, not what windows promise. The holder
 * is the channel that holds most, of the tenant who holds most: else whoever spreads over many channels would let a modest one pay.
 */
export function judgeHeld<H extends Holder>(holders: Iterable<H>, memoryLimitBytes: number): HeldVerdict<H> {
  let total = 0
  let greediest: Holding<H> | undefined
  const holdings = new Map<string | H, Holding<H>>()
  for (const holder of holders) {
    const { heldBytes, tenant = holder } = holder
    total += heldBytes
    let holding = holdings.get(tenant)
    if (holding === undefined) {
      holding = { bytes: 0, largest: holder, largestBytes: heldBytes }
      holdings.set(tenant, holding)
    } else if (heldBytes > holding.largestBytes) {
      holding.largest = holder
      holding.largestBytes = heldBytes
    }
    holding.bytes += heldBytes
    if (greediest === undefined || holding.bytes > greediest.bytes) greediest = holding
  }
  if (greediest === undefined || total <= memoryLimitBytes * REFUSE_ABOVE) return { kind: 'calm' }
  return { kind: total > memoryLimitBytes * RESET_ABOVE ? 'reset' : 'refuse', holder: greediest.largest }
}
