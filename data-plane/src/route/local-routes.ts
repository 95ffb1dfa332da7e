/** The routes to all tunnels whose channel is in this process, by name. Knows nothing of the table or of other tasks. */
import type { Subdomain } from '@postern/protocol/address'
import type { Tunnel } from '../channel/tunnel.ts'
import { LocalRoute } from './local-route.ts'

export class LocalRoutes {
  readonly #byName = new Map<Subdomain, { readonly tunnel: Tunnel; readonly route: LocalRoute }>()
  readonly #now: () => number

  /** `now` is monotonic, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  get(subdomain: Subdomain): LocalRoute | undefined {
    return this.#byName.get(subdomain)?.route
  }

  /** Sends visitors of its name to `tunnel`, the newest wins. Returns the withdrawal, which never withdraws a successor. */
  add(tunnel: Tunnel): () => void {
    const former = this.#byName.get(tunnel.subdomain)
    const entry = { tunnel, route: new LocalRoute(tunnel, this.#now) }
    this.#byName.set(tunnel.subdomain, entry)
    former?.tunnel.replacedBy(tunnel)
    return () => {
      entry.route.retire()
      if (this.#byName.get(tunnel.subdomain) === entry) this.#byName.delete(tunnel.subdomain)
    }
  }

  /** Lets idle streams of all tunnels go whose time is over. */
  sweep(): void {
    for (const { route } of this.#byName.values()) route.sweep()
  }
}
