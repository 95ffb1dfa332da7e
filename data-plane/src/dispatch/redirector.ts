/** Where visitors who came by http are sent: the same host by https, if it is one of ours. Knows nothing of which tunnels are open. */
import { isBase, subdomainOf } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'

export class Redirect {
  /** Scheme, host, and the port if it is not 443: `https://demo.example.com`. */
  readonly origin: string

  constructor(origin: string) {
    this.origin = origin
  }
}

export class Redirector {
  readonly #base: string
  readonly #port: string

  /** `base`: the base domain, in lower case. `publicUrl`: how a tunnel is reached, by https, with `{subdomain}` in it. */
  constructor(base: string, publicUrl: string) {
    const { port } = new URL(publicUrl.replace('{subdomain}', 'any'))
    this.#base = base
    this.#port = port === '' ? '' : `:${port}`
  }

  /** For a request with this Host. The answer is made of the base domain and a name's letters, never of what was sent. Fault: `host-unknown`. */
  find(host: string): Redirect | TunnelFault {
    const subdomain = subdomainOf(host, this.#base)
    if (subdomain !== undefined) return new Redirect(`https://${subdomain}.${this.#base}${this.#port}`)
    if (isBase(host, this.#base)) return new Redirect(`https://${this.#base}${this.#port}`)
    return new TunnelFault('host-unknown')
  }
}
