/** Limits how many handshakes are under way, in total and from one client. */
import { addressKey } from '../address/index.ts'
import { TunnelFault } from '../fault.ts'
import { BUSY_RETRY_MS, OPENINGS_PER_ADDRESS, OPENINGS_PER_TASK } from '../limits.ts'

export class OpeningCeilings {
  readonly #perTask: number
  readonly #perAddress: number
  readonly #byAddress = new Map<string, number>()
  #total = 0

  constructor(limits: { perTask?: number; perAddress?: number } = {}) {
    this.#perTask = limits.perTask ?? OPENINGS_PER_TASK
    this.#perAddress = limits.perAddress ?? OPENINGS_PER_ADDRESS
  }

  /** Openings under way. */
  get total(): number {
    return this.#total
  }

  /** Counts one opening on this task. Returns its removal; throws `server-busy` when there are too many. */
  enter(): () => void {
    if (this.#total >= this.#perTask) throw busy('This task has too many openings under way.')
    this.#total += 1
    return once(() => {
      this.#total -= 1
    })
  }

  /**
   * Counts one handshake from `address`, which is known only behind the PROXY header. An IPv6 client counts by its /64, whatever the policy of white
   * lists: one subscriber has 2^64 addresses. Returns its removal; throws `server-busy`.
   */
  enterFrom(address: string): () => void {
    const key = addressKey(address, 'observed')
    const open = this.#byAddress.get(key) ?? 0
    if (open >= this.#perAddress) throw busy('This address has too many openings under way.')
    this.#byAddress.set(key, open + 1)
    return once(() => {
      const left = (this.#byAddress.get(key) ?? 1) - 1
      if (left > 0) this.#byAddress.set(key, left)
      else this.#byAddress.delete(key)
    })
  }

  /** Addresses and IPv6 networks that have a handshake under way. */
  get addresses(): number {
    return this.#byAddress.size
  }
}

const busy = (detail: string): TunnelFault => new TunnelFault('server-busy', detail, { retryAfterMs: BUSY_RETRY_MS })

function once(removal: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    removal()
  }
}
