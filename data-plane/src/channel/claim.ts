/** A name that is held in the table for one channel. Knows nothing of how it is won. */
import type { Parting } from './parting.ts'

/** `release` lets the name go and is harmless when repeated or late. */
export interface Claim {
  readonly epoch: number
  /** Which of the name's slots it is. */
  readonly slot: number
  /** Has those told whom it took the name from. Called once visitors are let in. Never rejects. */
  settle(): Promise<void>
  /** `parting`: how the channel went; `holdMs`: how long its agent wants requests to wait for it. */
  release(parting: Parting, holdMs: number): Promise<void>
  /** Makes sure that the tunnel is in the list of all tunnels. Never rejects. */
  relist(): Promise<void>
}
