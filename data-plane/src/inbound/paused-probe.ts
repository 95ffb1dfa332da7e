/** Looks now and then whether a connection was reset of which nothing is read, as it is paused or has ended its writing: that shows only on a write. */
import { PAUSED_PROBE_MS } from '@postern/protocol/limits'
import type { VisitorHost } from './inbound-context.ts'
import type { Expirable } from './sweeper.ts'

export class PausedProbe implements Expirable {
  deadline = Infinity
  readonly #host: Pick<VisitorHost, 'deadlineIn' | 'watch'>
  readonly #probe: () => void
  #unwatch: (() => void) | undefined

  constructor(host: Pick<VisitorHost, 'deadlineIn' | 'watch'>, probe: () => void) {
    this.#host = host
    this.#probe = probe
  }

  /** Nothing is read from now on. Harmless when repeated. */
  start(): void {
    if (this.#unwatch !== undefined) return
    this.deadline = this.#host.deadlineIn(PAUSED_PROBE_MS)
    this.#unwatch = this.#host.watch(this)
  }

  /** It is read again, or gone. Harmless when repeated. */
  stop(): void {
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  expire(): void {
    this.deadline = this.#host.deadlineIn(PAUSED_PROBE_MS)
    this.#probe()
  }
}
