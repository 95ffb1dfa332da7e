/** An agent's channel: the route to its tunnel, and the local servers at the far ends of its streams. */
import { TunnelFault } from '@postern/protocol/fault'
import { LocalRoute } from '../../../data-plane/src/route/local-route.ts'
import type { PooledStream } from '../../../data-plane/src/route/stream-pool.ts'
import type { VisitorGate } from '../../../data-plane/src/route/visitor-gate.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import type { LeaseBook } from './counted-parts.ts'
import { LocalServer, type ServerHost } from './local-server.ts'
import type { Plan } from './plan.ts'
import { streamPair, type VirtualStream } from './virtual-stream.ts'

export interface ChannelHost extends ServerHost {
  readonly plan: Plan
  readonly random: SeededRandom
  readonly book: LeaseBook
  now(): number
  newStreamId(): number
  /** A stream of which both ends are to be carried. */
  opened(near: VirtualStream): void
}

export class Channel {
  readonly route: LocalRoute
  readonly servers: LocalServer[] = []
  lost = false
  /** Streams that are not over. */
  open = 0
  readonly #host: ChannelHost
  #streamGone: () => void = () => {}
  /** The agent could not reach the local server for these. */
  readonly #unsent = new Set<number>()

  constructor(host: ChannelHost, gate: VisitorGate | undefined) {
    this.#host = host
    this.route = new LocalRoute(
      {
        openStream: () => this.#openStream(),
        takeFailure: (id) =>
          this.#unsent.delete(id) ? { fault: new TunnelFault('origin-refused'), unsent: true } : undefined,
        whenStreamGone: (run) => {
          this.#streamGone = run
        },
      },
      host.now,
      gate,
    )
    host.book.watch(this.route)
  }

  /** Its socket breaks: the streams hear of it, and then the name is free. */
  lose(): void {
    this.lost = true
    for (const { stream } of this.servers) stream.other.lose(new TunnelFault('channel-lost'))
  }

  #openStream(): PooledStream {
    const { plan, random } = this.#host
    if (this.lost) throw new TunnelFault('channel-closed')
    if (this.open >= plan.streams) throw new TunnelFault('streams-exhausted')
    const [near, far] = streamPair(this.#host.newStreamId(), plan, this.#host.violated)
    this.open += 1
    near.onGone = () => {
      this.open -= 1
      this.#streamGone()
    }
    this.#host.opened(near)
    const server = new LocalServer(far, random, plan, this.#host)
    this.servers.push(server)
    if (!plan.benign && random.once(12)) {
      // Nothing was read, and the agent says so before it resets the stream.
      this.#unsent.add(near.id)
      server.hangUp()
    }
    return near
  }
}
