/** Hosts below a tunnel's name, such as `app.demo.example.com`: to which tunnels they lead, and what a deployment lacks for the others. */
import { nestedName, type Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'

/** The tunnels for whose names below the deployment has a certificate, or needs none. */
export type CoveredNames = ReadonlySet<string> | 'all'

export interface NestedHost {
  readonly subdomain: Subdomain
  /** The host without base domain and port: `app.demo`. In lower case. */
  readonly name: string
}

export class NestedNames {
  readonly #base: string
  readonly #covered: CoveredNames

  /** `base`: the base domain, lower case, without port. */
  constructor(base: string, covered: CoveredNames) {
    this.#base = base
    this.#covered = covered
  }

  /** Undefined: the host is not below a tunnel's name. Fault: `nested-name`. */
  find(host: string): NestedHost | TunnelFault | undefined {
    const found = nestedName(host, this.#base)
    if (found === undefined) return undefined
    const { subdomain, below } = found
    const wildcard = `*.${subdomain}.${this.#base}`
    // One label is what the wildcard of a certificate stands for (RFC 9525 §6.3).
    if (below.includes('.'))
      return new TunnelFault('nested-name', `A host may be one label below the name: ${wildcard}.`)
    if (this.#covered !== 'all' && !this.#covered.has(subdomain))
      return new TunnelFault('nested-name', `Missing: a certificate for ${wildcard}.`)
    return { subdomain, name: `${below}.${subdomain}` }
  }
}
