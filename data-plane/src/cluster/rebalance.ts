/** Gives channels away, slowly, while this task has more than its share, as after others were added. Knows nothing of how an agent moves. */
import {
  REBALANCE_ABOVE,
  REBALANCE_LEAST,
  REBALANCE_MS,
  REBALANCE_SHARE,
  REBALANCE_UNTIL,
} from '@postern/protocol/limits'

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
  const begin = Math.max(mean * REBALANCE_ABOVE, mean + REBALANCE_LEAST)
  if (own <= (balance === 'shedding' ? mean * REBALANCE_UNTIL : begin)) return { balance: 'even', shed: 0 }
  const most = Math.max(1, Math.floor(own * REBALANCE_SHARE))
  return { balance: 'shedding', shed: Math.min(most, Math.ceil(own - mean)) }
}

export interface RebalanceOptions<Channel> {
  /** Channels of this task that nobody has asked to move. */
  staying(): readonly Channel[]
  /** How many each other task has that takes channels. */
  others(): readonly number[]
  askToMove(channel: Channel): void
  /** Uniform in [0, 1). */
  random(): number
}

/** Returns the end of it. */
export function rebalance<Channel>({ staying, others, askToMove, random }: RebalanceOptions<Channel>): () => void {
  let balance: Balance = 'even'
  const timer = setInterval(() => {
    const own = [...staying()]
    const step = stepBalance(balance, own.length, others())
    balance = step.balance
    for (let asked = 0; asked < step.shed; asked += 1) {
      const [channel] = own.splice(Math.floor(random() * own.length), 1)
      if (channel !== undefined) askToMove(channel)
    }
  }, REBALANCE_MS)
  return () => clearInterval(timer)
}
