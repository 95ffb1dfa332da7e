/** The route to a server that is reached by plain TCP: the control plane of a single-machine deployment. Knows nothing of tunnels. */
import { connect } from 'node:net'
import type { Freshness, Lease, Route } from './route.ts'
import { SocketStream } from './socket-stream.ts'

export class SocketRoute implements Route {
  readonly #target: { readonly host: string; readonly port: number }

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
  }

  /** Always a fresh connection: the control plane is asked a few times a minute. */
  lease(_freshness: Freshness): Lease {
    const stream = new SocketStream(connect({ ...this.#target, allowHalfOpen: true, noDelay: true }))
    return {
      stream,
      reused: false,
      keep: () => stream.end(),
      leave: () => stream.end(),
      reset: () => stream.reset(),
      failure: () => undefined,
    }
  }
}
