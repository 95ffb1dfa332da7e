/** The names that Host fields ask for, each worked out once as long as it is asked for often. Knows nothing of routes. */
import { type Subdomain, subdomainOf } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { KNOWN_HOSTS } from '@postern/protocol/limits'
import { NestedNames } from './nested-names.ts'

export class HostNames {
  readonly #base: string
  readonly #nested: NestedNames
  readonly #known = new Map<string, Subdomain>()

  /** `base`: the base domain, lower case, without port. */
  constructor(base: string, nested = new NestedNames(base, new Set())) {
    this.#base = base
    this.#nested = nested
  }

  /** The tunnel of a host that is a tunnel's name, or below one that may have such hosts. */
  subdomainOf(host: string): Subdomain | undefined {
    return this.#known.get(host) ?? this.#workOut(host)
  }

  /** Why a host that leads nowhere does not. */
  missing(host: string): TunnelFault {
    const nested = this.#nested.find(host)
    return nested instanceof TunnelFault ? nested : new TunnelFault('host-unknown')
  }

  #workOut(host: string): Subdomain | undefined {
    const subdomain = subdomainOf(host, this.#base) ?? this.#below(host)
    if (subdomain === undefined) return undefined
    // Whoever scans random names must not fill the memory; who is visited is known again at once.
    if (this.#known.size === KNOWN_HOSTS) this.#known.clear()
    this.#known.set(host, subdomain)
    return subdomain
  }

  #below(host: string): Subdomain | undefined {
    const nested = this.#nested.find(host)
    return nested instanceof TunnelFault ? undefined : nested?.subdomain
  }
}
