/** The routes to all tunnels whose channel is in this process, by name. Knows nothing of the table or of other tasks. */
import type { Subdomain } from '@postern/protocol/address'
import type { VisitorRules } from '@postern/protocol/channel'
import { AWAY_MS } from '@postern/protocol/limits'
import type { Parting } from '../channel/parting.ts'
import type { Tunnel } from '../channel/tunnel.ts'
import { H2Route } from './h2/h2-route.ts'
import { LocalRoute } from './local-route.ts'
import type { QueuePlaces } from './queue-places.ts'
import type { TunnelRoute } from './tunnel-route.ts'
import type { VisitorGate } from './visitor-gate.ts'

/** A channel that serves a name, with what leads to it. */
interface Member {
  readonly tunnel: Tunnel
  readonly route: TunnelRoute
  /** When it was chosen last, counted in choices. */
  chosenAt: number
}

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

export class LocalRoutes {
  /** Never empty lists: several channels share a name where agents pool, or where one has several. */
  readonly #byName = new Map<Subdomain, readonly Member[]>()
  /** Also of tunnels that finish what they have. */
  readonly #routes = new WeakMap<Tunnel, TunnelRoute>()
  /** As many as agents can leave in AWAY_MS. */
  readonly #away = new Map<Subdomain, Absence>()
  /** Names that agents share, here and maybe on other tasks. */
  readonly #shared = new Set<Subdomain>()
  readonly #awaited = new Map<Subdomain, Set<(route: TunnelRoute) => void>>()
  #choices = 0
  readonly #now: () => number
  readonly #gateOf: (name: Subdomain, rules: VisitorRules) => VisitorGate | undefined
  readonly #places: QueuePlaces | undefined

  /** `now` is monotonic, in milliseconds; `gateOf` compiles the rules of a tunnel; `places` are those in which requests wait for streams. */
  constructor(
    now: () => number,
    gateOf: (name: Subdomain, rules: VisitorRules) => VisitorGate | undefined,
    places?: QueuePlaces,
  ) {
    this.#now = now
    this.#gateOf = gateOf
    this.#places = places
  }

  /** Of several channels the one with the fewest exchanges under way, of equals each in turn. */
  get(subdomain: Subdomain): TunnelRoute | undefined {
    const members = this.#byName.get(subdomain)
    if (members === undefined) return undefined
    if (members.length === 1) return members[0]!.route
    const member = leastLoaded(members)
    this.#choices += 1
    member.chosenAt = this.#choices
    return member.route
  }

  /** Of a name that agents share: exchanges under way on the channel that `get` answers. 0 of any other name. */
  sharedLoad(subdomain: Subdomain): number {
    if (this.#shared.size === 0 || !this.#shared.has(subdomain)) return 0
    const members = this.#byName.get(subdomain)
    return members === undefined ? 0 : load(leastLoaded(members))
  }

  /** What leads to that tunnel, also while it takes nothing new any more. */
  routeOf(tunnel: Tunnel): TunnelRoute | undefined {
    return this.#routes.get(tunnel)
  }

  /** The route over the channel that made this claim of the name, if it is here and serves it, and who answers for it. */
  ofClaim(subdomain: Subdomain, epoch: number): { route: TunnelRoute; tenant: string } | undefined {
    const member = this.#byName.get(subdomain)?.find(({ tunnel }) => tunnel.epoch === epoch)
    return member && { route: member.route, tenant: member.tunnel.tenant }
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

  /** Who answers for a name that is away. */
  tenantOf(subdomain: Subdomain): string | undefined {
    return this.#absence(subdomain)?.tunnel.tenant
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
   * Sends visitors of its name to `tunnel` too, in the place of the one that had its slot before; of two the later claim counts, whichever
   * comes here first. Returns the withdrawal, which never withdraws another one; said once more when the channel is over, it makes the
   * name away from then on, unless others serve it.
   */
  add(tunnel: Tunnel): (parting: Parting) => void {
    const { subdomain } = tunnel
    const RouteOf = tunnel.upstreamProtocol === 'h2c' ? H2Route : LocalRoute
    const entry = {
      tunnel,
      route: new RouteOf(tunnel, this.#now, this.#gateOf(subdomain, tunnel.rules), this.#places),
      chosenAt: 0,
    }
    this.#routes.set(tunnel, entry.route)
    const former = this.#byName.get(subdomain)?.find((member) => member.tunnel.slot === tunnel.slot)
    if (former && (former.tunnel.epoch ?? 0) > (tunnel.epoch ?? 0)) {
      // It has lost the slot already, while the table's answer was on its way.
      queueMicrotask(() => tunnel.replacedBy(successorOf(former.tunnel)))
      return () => entry.route.retire()
    }
    const others = (this.#byName.get(subdomain) ?? []).filter((member) => member !== former)
    this.#byName.set(subdomain, [...others, entry])
    this.#away.delete(subdomain)
    if (tunnel.pools) this.#shared.add(subdomain)
    else this.#shared.delete(subdomain)
    former?.tunnel.replacedBy(successorOf(tunnel))
    const waiting = this.#awaited.get(subdomain)
    this.#awaited.delete(subdomain)
    for (const back of waiting ?? []) back(entry.route)
    return (parting) => this.#withdraw(entry, parting)
  }

  /** Streams of all tunnels that wait for another request. */
  get idleStreams(): number {
    let idle = 0
    for (const members of this.#byName.values()) for (const { route } of members) idle += route.idleStreams
    return idle
  }

  /** Lets idle streams of all tunnels go whose time is over, and forgets names that are away for long. */
  sweep(): void {
    for (const members of this.#byName.values()) for (const { route } of members) route.sweep()
    const now = this.#now()
    for (const [subdomain, { until }] of this.#away) if (until <= now) this.#away.delete(subdomain)
  }

  #withdraw(entry: Member, parting: Parting): void {
    const { tunnel, route } = entry
    const { subdomain } = tunnel
    route.retire()
    const members = this.#byName.get(subdomain)
    if (members?.includes(entry)) {
      const others = members.filter((member) => member !== entry)
      if (others.length > 0) return void this.#byName.set(subdomain, others)
      this.#byName.delete(subdomain)
      this.#shared.delete(subdomain)
    } else if (this.#away.get(subdomain)?.tunnel !== tunnel) return
    if (parting === 'dismissed') this.#away.delete(subdomain)
    else this.#away.set(subdomain, this.#absenceOf(tunnel, parting))
  }

  #absence(subdomain: Subdomain): Absence | undefined {
    const absence = this.#away.get(subdomain)
    return absence !== undefined && absence.until > this.#now() ? absence : undefined
  }

  /**
   * Who stops an agent starts it again at once, or not at all: a service that is restarted is back before one hold is over, and whoever has
   * stopped for good costs visitors no more than that, instead of a hold each for as long as the name is away. A name that has moved to
   * another task counts as one that was lost here: whoever asks for it waits until it is found there.
   */
  #absenceOf(tunnel: Tunnel, parting: Exclude<Parting, 'dismissed'>): Absence {
    const now = this.#now()
    const { holdMs } = tunnel
    return { tunnel, holdMs, until: now + AWAY_MS, heldUntil: parting === 'left' ? now + holdMs : Infinity }
  }
}

/** The tunnel's state is about to change: what it says of itself now is kept. */
const successorOf = ({ instanceId = '', label }: Tunnel) => ({ instanceId, label })

function leastLoaded(members: readonly Member[]): Member {
  let best = members[0]!
  let least = load(best)
  for (let at = 1; at < members.length; at += 1) {
    const member = members[at]!
    const outstanding = load(member)
    if (outstanding < least || (outstanding === least && member.chosenAt < best.chosenAt)) {
      best = member
      least = outstanding
    }
  }
  return best
}

/** Exchanges under way; a channel that takes none for want of memory comes last. */
const load = ({ tunnel, route }: Member): number =>
  tunnel.refusing ? Infinity : tunnel.visitorStreams - route.idleStreams
