/** The routes to all tunnels whose channel is in this process, by name. Knows nothing of the table or of other tasks. */
import type { Subdomain } from '@postern/protocol/address'
import type { VisitorRules } from '@postern/protocol/channel'
import { AWAY_MS } from '@postern/protocol/limits'
import type { Tunnel } from '../channel/tunnel.ts'
import { LocalRoute } from './local-route.ts'
import type { VisitorGate } from './visitor-gate.ts'

export class LocalRoutes {
  readonly #byName = new Map<Subdomain, { readonly tunnel: Tunnel; readonly route: LocalRoute }>()
  /** Names without a channel, and until when they count as away. As many as agents can leave in AWAY_MS. */
  readonly #away = new Map<Subdomain, number>()
  readonly #now: () => number

  readonly #gateOf: (rules: VisitorRules) => VisitorGate | undefined

  /** `now` is monotonic, in milliseconds; `gateOf` compiles the rules of a tunnel. */
  constructor(now: () => number, gateOf: (rules: VisitorRules) => VisitorGate | undefined) {
    this.#now = now
    this.#gateOf = gateOf
  }

  get(subdomain: Subdomain): LocalRoute | undefined {
    return this.#byName.get(subdomain)?.route
  }

  /** Whether the name had a channel here until a moment ago. */
  isAway(subdomain: Subdomain): boolean {
    return (this.#away.get(subdomain) ?? 0) > this.#now()
  }

  /** Sends visitors of its name to `tunnel`, the newest wins. Returns the withdrawal, which never withdraws a successor. */
  add(tunnel: Tunnel): () => void {
    const former = this.#byName.get(tunnel.subdomain)
    const entry = { tunnel, route: new LocalRoute(tunnel, this.#now, this.#gateOf(tunnel.rules)) }
    this.#byName.set(tunnel.subdomain, entry)
    this.#away.delete(tunnel.subdomain)
    former?.tunnel.replacedBy(tunnel)
    return () => {
      entry.route.retire()
      if (this.#byName.get(tunnel.subdomain) !== entry) return
      this.#byName.delete(tunnel.subdomain)
      this.#away.set(tunnel.subdomain, this.#now() + AWAY_MS)
    }
  }

  /** Streams of all tunnels that wait for another request. */
  get idleStreams(): number {
    let idle = 0
    for (const { route } of this.#byName.values()) idle += route.idleStreams
    return idle
  }

  /** Lets idle streams of all tunnels go whose time is over, and forgets names that are away for long. */
  sweep(): void {
    for (const { route } of this.#byName.values()) route.sweep()
    const now = this.#now()
    for (const [subdomain, until] of this.#away) if (until <= now) this.#away.delete(subdomain)
  }
}
