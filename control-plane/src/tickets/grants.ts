/** Signs what a ticket grants, with keys whose public halves nodes can read. */
import { UNPROVEN_ROUTES_MS } from '@postern/protocol/limits'
import type { Stores } from '@postern/protocol/store'
import { type DeploymentKeys, type GrantedName, publishedKeys, signGrant } from '@postern/protocol/ticket'

export interface GrantsDeps {
  readonly keys: DeploymentKeys
  readonly stores: Pick<Stores, 'grantKeys' | 'tunnels'>
  /** Milliseconds since 1970. */
  now(): number
}

export class Grants {
  readonly #deps: GrantsDeps
  #published: Promise<void> | undefined

  constructor(deps: GrantsDeps) {
    this.#deps = deps
  }

  /** @throws TunnelFault `store-unavailable`: the keys are not published, so no node could verify the grant */
  async sign(granted: GrantedName, ticket: { encryptionKey: Uint8Array; issuedAt: number }): Promise<string> {
    await this.published()
    return signGrant(granted, ticket, this.#deps.keys)
  }

  /** Publishes the public keys, once in the life of the process. One that fails is tried again by the next call. */
  published(): Promise<void> {
    this.#published ??= this.#publish().catch((error: unknown) => {
      this.#published = undefined
      throw error
    })
    return this.#published
  }

  async #publish(): Promise<void> {
    const { stores, now } = this.#deps
    const keys = publishedKeys(this.#deps.keys)
    const before = await stores.grantKeys.read()
    if (before !== undefined && keys.size === before.keys.size && [...keys].every((key) => before.keys.has(key))) return
    await stores.grantKeys.publish({ keys, unprovenUntil: before?.unprovenUntil ?? (await this.#unprovenUntil(now())) })
  }

  /** Routes that nodes of an earlier version wrote have no proof, and neither have those of the tickets of an earlier control plane. A deployment without a tunnel has none of them. */
  async #unprovenUntil(now: number): Promise<number> {
    const { items } = await this.#deps.stores.tunnels.list({ limit: 1 })
    return items.length > 0 ? now + UNPROVEN_ROUTES_MS : now
  }
}
