/** Decides by the Host of one request which route it takes. Knows nothing of sockets or of how a route gets its streams. */
import { isBase, type Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import type { Route } from '../route/route.ts'
import { HostNames } from './host-names.ts'
import type { NestedNames } from './nested-names.ts'
import type { Sought } from './sought.ts'
import { Away, type WaitingRoom } from './waiting-room.ts'

export interface DispatcherOptions {
  /** The base domain, lower case, without port. */
  readonly base: string
  /** Without it no host below a tunnel's name is served. */
  readonly nested?: NestedNames
  /** Routes by subdomain. */
  readonly routes: {
    get(subdomain: Subdomain): Route | undefined
    /** Of a name that agents share: exchanges under way on what `get` answers. 0, or absent: it is not shared, or idle here. */
    sharedLoad?(subdomain: Subdomain): number
    /** Whether a name without route had one until a moment ago. */
    isAway(subdomain: Subdomain): boolean
  }
  /** Names whose channels other tasks hold; without it there are none. `addressKey`: of the visitor, who may ask for so many unknown names. */
  readonly elsewhere?: {
    /** Undefined: no task has the name just now. A fault: one has it, and cannot be asked. */
    find(subdomain: Subdomain, addressKey?: string): Route | Sought | TunnelFault | undefined
    /** Of a name that agents share: the route to another task with fewer of our exchanges under way than so many. Nobody waits for it to be found. */
    lessBusy(subdomain: Subdomain, load: number, addressKey?: string): Route | undefined
    /** Whether some task had it until a moment ago. */
    isAway(subdomain: Subdomain): boolean
    /** Whether the name is somebody's, as far as `find` had to ask for that. */
    isOwned(subdomain: Subdomain): boolean
  }
  /** What keeps this task from passing requests on just now; without it nothing does. */
  readonly fence?: { closed(): boolean; lifted(): Sought }
  /** Where requests wait for an agent that is away; without it none does. */
  readonly room?: WaitingRoom
  /** Takes requests for the base domain itself; absent where a balancer sends those to the control plane. */
  readonly apex: Route | undefined
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #names: HostNames

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#names = new HostNames(options.base, options.nested)
  }

  /** The route for a request with this (lower-case) Host from a visitor of that address, or the fault it is answered with: `host-unknown`, `nested-name`, `tunnel-not-found`, `tunnel-offline`. */
  find(host: string, addressKey?: string): Route | Sought | Away | TunnelFault {
    const { base, apex } = this.#options
    const subdomain = this.#names.subdomainOf(host)
    if (subdomain !== undefined) return this.#tunnel(subdomain, addressKey)
    if (apex !== undefined && isBase(host, base)) return apex
    return this.#names.missing(host)
  }

  #tunnel(subdomain: Subdomain, addressKey: string | undefined): Route | Sought | Away | TunnelFault {
    const { routes, elsewhere, fence, room } = this.#options
    if (fence?.closed()) return fence.lifted()
    const here = routes.get(subdomain)
    if (here !== undefined) {
      const load = routes.sharedLoad?.(subdomain) ?? 0
      return load === 0 ? here : (elsewhere?.lessBusy(subdomain, load, addressKey) ?? here)
    }
    const found = elsewhere?.find(subdomain, addressKey)
    if (found !== undefined) return found
    const isAway = routes.isAway(subdomain) || elsewhere?.isAway(subdomain) === true
    if (isAway && room !== undefined) return new Away(room, subdomain)
    return new TunnelFault(isAway || elsewhere?.isOwned(subdomain) ? 'tunnel-offline' : 'tunnel-not-found')
  }
}
