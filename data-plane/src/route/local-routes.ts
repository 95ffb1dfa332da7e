/** The routes to all tunnels whose channel is in this process, by name. Knows nothing of the table or of other tasks. */
import type { Subdomain } from '@postern/protocol/address'
import type { VisitorRules } from '@postern/protocol/channel'
import { AWAY_MS } from '@postern/protocol/limits'
import type { Parting, Tunnel } from '../channel/tunnel.ts'
import { H2Route } from './h2/h2-route.ts'
import { LocalRoute } from './local-route.ts'
import type { VisitorGate } from './visitor-gate.ts'

/** A name without a channel that had one until a moment ago. Times are monotonic, in milliseconds. */
interface Absence {
  /** The tunnel that had it last. */
  readonly tunnel: Tunnel
  /** Until when the name counts as away. */
  readonly until: number
  /** How long a request may wait for it, and until when one may at all. */
  readonly holdMs: number
  readonly heldUntil: number
}

/** To a tunnel of this process, whatever its local server speaks. */
type TunnelRoute = LocalRoute | H2Route

export class LocalRoutes {
  readonly #byName = new Map<Subdomain, { readonly tunnel: Tunnel; readonly route: TunnelRoute }>()
  /** As many as agents can leave in AWAY_MS. */
  readonly #away = new Map<Subdomain, Absence>()
  readonly #awaited = new Map<Subdomain, Set<(route: TunnelRoute) => void>>()
  readonly #now: () => number
  readonly #gateOf: (rules: VisitorRules) => VisitorGate | undefined

  /** `now` is monotonic, in milliseconds; `gateOf` compiles the rules of a tunnel. */
  constructor(now: () => number, gateOf: (rules: VisitorRules) => VisitorGate | undefined) {
    this.#now = now
    this.#gateOf = gateOf
  }

  get(subdomain: Subdomain): TunnelRoute | undefined {
    return this.#byName.get(subdomain)?.route
  }

  /** Whether the name had a channel here until a moment ago. */
  isAway(subdomain: Subdomain): boolean {
    return this.#absence(subdomain) !== undefined
  }

  /** For how long a request that comes now may wait for the name to have a channel again; milliseconds, 0: not at all. */
  holdMs(subdomain: Subdomain): number {
    const absence = this.#absence(subdomain)
    return absence === undefined ? 0 : Math.max(0, Math.min(absence.holdMs, absence.heldUntil - this.#now()))
  }

  /** Tells once, when the name has a channel here again. Returns the removal. */
  whenBack(subdomain: Subdomain, back: (route: TunnelRoute) => void): () => void {
    const waiting = this.#awaited.get(subdomain) ?? new Set()
    this.#awaited.set(subdomain, waiting.add(back))
    return () => {
      waiting.delete(back)
      if (waiting.size === 0 && this.#awaited.get(subdomain) === waiting) this.#awaited.delete(subdomain)
    }
  }

  /**
   * Sends visitors of its name to `tunnel`, the newest wins. Returns the withdrawal, which never withdraws a successor; said once more when
   * the channel is over, it makes the name away from then on.
   */
  add(tunnel: Tunnel): (parting: Parting) => void {
    const { subdomain } = tunnel
    const former = this.#byName.get(subdomain)
    const RouteOf = tunnel.upstreamProtocol === 'h2c' ? H2Route : LocalRoute
    const entry = { tunnel, route: new RouteOf(tunnel, this.#now, this.#gateOf(tunnel.rules)) }
    this.#byName.set(subdomain, entry)
    this.#away.delete(subdomain)
    former?.tunnel.replacedBy(tunnel)
    const waiting = this.#awaited.get(subdomain)
    this.#awaited.delete(subdomain)
    for (const back of waiting ?? []) back(entry.route)
    return (parting) => {
      entry.route.retire()
      if (this.#byName.get(subdomain) === entry) this.#byName.delete(subdomain)
      else if (this.#away.get(subdomain)?.tunnel !== tunnel) return
      if (parting === 'dismissed') this.#away.delete(subdomain)
      else this.#away.set(subdomain, this.#absenceOf(tunnel, parting))
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
    for (const [subdomain, { until }] of this.#away) if (until <= now) this.#away.delete(subdomain)
  }

  #absence(subdomain: Subdomain): Absence | undefined {
    const absence = this.#away.get(subdomain)
    return absence !== undefined && absence.until > this.#now() ? absence : undefined
  }

  /**
   * Who stops an agent starts it again at once, or not at all: a service that is restarted is back before one hold is over, and whoever has
   * stopped for good costs visitors no more than that, instead of a hold each for as long as the name is away.
   */
  #absenceOf(tunnel: Tunnel, parting: Exclude<Parting, 'dismissed'>): Absence {
    const now = this.#now()
    const { holdMs } = tunnel
    return { tunnel, holdMs, until: now + AWAY_MS, heldUntil: parting === 'left' ? now + holdMs : Infinity }
  }
}
