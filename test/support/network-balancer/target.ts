/** One registered target of the network load balancer: its health as the checks see it, and whether new flows lead to it. Knows nothing of sockets or clocks. */

/** Ports of a task, on 127.0.0.1. */
export interface TargetPorts {
  readonly public: number
  readonly channel: number
  readonly ops: number
}

export interface HealthThresholds {
  readonly healthy: number
  readonly unhealthy: number
}

/** As the console of AWS calls them. `draining`: deregistered; what stands goes on, and for a while new flows still come. */
export type TargetState = 'initial' | 'healthy' | 'unhealthy' | 'draining' | 'unused'

export class Target {
  readonly id: string
  readonly ports: TargetPorts
  readonly #thresholds: HealthThresholds
  readonly #changed: (state: TargetState) => void
  #state: TargetState = 'initial'
  /** Checks in a row that said the opposite of the state. */
  #against = 0

  constructor(id: string, ports: TargetPorts, thresholds: HealthThresholds, changed: (state: TargetState) => void) {
    this.id = id
    this.ports = ports
    this.#thresholds = thresholds
    this.#changed = changed
  }

  get state(): TargetState {
    return this.#state
  }

  get registered(): boolean {
    return this.#state === 'initial' || this.#state === 'healthy' || this.#state === 'unhealthy'
  }

  /** One passed check is enough for a target that is new; later it takes as many in a row as the thresholds say. */
  checked(passed: boolean): void {
    if (!this.registered) return
    const agrees = this.#state === (passed ? 'healthy' : 'unhealthy')
    this.#against = agrees ? 0 : this.#against + 1
    const needed = passed ? (this.#state === 'initial' ? 1 : this.#thresholds.healthy) : this.#thresholds.unhealthy
    if (this.#against >= needed) this.#become(passed ? 'healthy' : 'unhealthy')
  }

  deregistered(): void {
    if (this.registered) this.#become('draining')
  }

  /** No new flow comes any more. */
  forgotten(): void {
    if (this.#state !== 'unused') this.#become('unused')
  }

  #become(state: TargetState): void {
    this.#against = 0
    if (state === this.#state) return
    this.#state = state
    this.#changed(state)
  }
}

/**
 * Where a new flow leads: any healthy target, or one that was deregistered a moment ago; if there is none of them, any that is registered
 * (an NLB whose targets are all unhealthy fails open).
 * @param random uniform in [0, 1)
 */
export function choose(targets: readonly Target[], random: () => number): Target | undefined {
  const good = targets.filter(({ state }) => state === 'healthy' || state === 'draining')
  const open = good.length > 0 ? good : targets.filter(({ registered }) => registered)
  return open[Math.floor(random() * open.length)]
}
