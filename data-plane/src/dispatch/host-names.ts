/** The names that Host fields ask for, each worked out once as long as it is asked for often. Knows nothing of routes. */
import { type Subdomain, subdomainOf } from '@postern/protocol/address'
import { KNOWN_HOSTS } from '@postern/protocol/limits'

export class HostNames {
  readonly #base: string
  readonly #known = new Map<string, Subdomain>()

  /** `base`: the base domain, lower case, without port. */
  constructor(base: string) {
    this.#base = base
  }

  /** As `subdomainOf` of the protocol answers it. */
  subdomainOf(host: string): Subdomain | undefined {
    return this.#known.get(host) ?? this.#workOut(host)
  }

  #workOut(host: string): Subdomain | undefined {
    const subdomain = subdomainOf(host, this.#base)
    if (subdomain === undefined) return undefined
    // Whoever scans random names must not fill the memory; who is visited is known again at once.
    if (this.#known.size === KNOWN_HOSTS) this.#known.clear()
    this.#known.set(host, subdomain)
    return subdomain
  }
}
