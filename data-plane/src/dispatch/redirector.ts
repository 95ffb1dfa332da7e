/** Where visitors who came by http are sent: the same host by https, if it is one of ours. Knows nothing of which tunnels are open. */
import { isBase, subdomainOf } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { NestedNames } from './nested-names.ts'

export class Redirect {
  /** Scheme, host, and the port if it is not 443: `https://demo.example.com`. */
  readonly origin: string

  constructor(origin: string) {
    this.origin = origin
  }
}

export class Redirector {
  readonly #base: string
  readonly #nested: NestedNames
  readonly #port: string

  /** `base`: the base domain, in lower case. `publicUrl`: how a tunnel is reached, by https, with `{subdomain}` in it. */
  constructor(base: string, publicUrl: string, nested = new NestedNames(base, new Set())) {
    const { port } = new URL(publicUrl.replace('{subdomain}', 'any'))
    this.#base = base
    this.#nested = nested
    this.#port = port === '' ? '' : `:${port}`
  }

  /** For a request with this Host. The answer is made of the base domain and a name's letters, never of what was sent. Fault: `host-unknown`, `nested-name`. */
  find(host: string): Redirect | TunnelFault {
    const subdomain = subdomainOf(host, this.#base)
    if (subdomain !== undefined) return this.#redirect(`${subdomain}.`)
    if (isBase(host, this.#base)) return this.#redirect('')
    const nested = this.#nested.find(host)
    if (nested instanceof TunnelFault) return nested
    return nested === undefined ? new TunnelFault('host-unknown') : this.#redirect(`${nested.name}.`)
  }

  #redirect(below: string): Redirect {
    return new Redirect(`https://${below}${this.#base}${this.#port}`)
  }
}
