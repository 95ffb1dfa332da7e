/** How many of its channels a task asks to move, so that new tasks get their share: a function of how many each has. Knows nothing of tunnels or the table. */
import { REBALANCE_ABOVE, REBALANCE_LEAST, REBALANCE_SHARE, REBALANCE_UNTIL } from '@postern/protocol/limits'

export type Balance = 'even' | 'shedding'

export interface BalanceStep {
  readonly balance: Balance
  /** So many channels are asked to move now. */
  readonly shed: number
}

/**
 * Two lines, so that a task that has just given away some does not get them back: it begins above the upper one and ends at the lower.
 * @param own channels of this task that nobody has asked to move
 * @param others those of each other task that takes channels
 */
export function stepBalance(balance: Balance, own: number, others: readonly number[]): BalanceStep {
  if (others.length === 0) return { balance: 'even', shed: 0 }
  const mean = others.reduce((sum, each) => sum + each, own) / (others.length + 1)
  const line = balance === 'shedding' ? mean * REBALANCE_UNTIL : Math.max(mean * REBALANCE_ABOVE, mean + REBALANCE_LEAST)
  if (own <= line) return { balance: 'even', shed: 0 }
  const surplus = Math.floor(own - mean)
  const shed = Math.min(surplus, Math.max(1, Math.floor(own * REBALANCE_SHARE)))
  return { balance: shed > 0 ? 'shedding' : 'even', shed }
}
