/** The way from another node to the node under test: its streams, and what the two say of them. */
import type { Subdomain } from '@postern/protocol/address'
import { HOP_PREAMBLE_BYTES } from '@postern/protocol/limits'
import type { RawStream } from '@postern/protocol/mux'
import { type HopHouse, receiveHop } from '../../../data-plane/src/cluster/incoming-hop.ts'
import type { HopStream } from '../../../data-plane/src/route/hop-stream.ts'
import { type Hop, PeerRoute } from '../../../data-plane/src/route/peer-route.ts'
import type { Failure } from '../../../data-plane/src/route/route.ts'
import type { ChannelHost } from './channel.ts'
import { streamPair } from './virtual-stream.ts'

export class HopWay implements Hop {
  readonly open = true
  busyStreams = 0
  readonly streams = new Set<HopStream>()
  readonly #host: ChannelHost
  readonly #house: HopHouse
  readonly #failures = new Map<number, Failure>()
  /** The route that requests take now. */
  #route: PeerRoute | undefined
  readonly #routes: PeerRoute[] = []

  constructor(host: ChannelHost, house: HopHouse) {
    this.#host = host
    this.#house = house
  }

  /** As it is remembered; a new one for the claim of that epoch where none is. */
  route(epoch: number): PeerRoute {
    const forget = (gone: PeerRoute): void => {
      if (this.#route === gone) this.#route = undefined
      gone.retire()
    }
    if (this.#route !== undefined) return this.#route
    const route = new PeerRoute({
      hop: this,
      name: 'demo' as Subdomain,
      epoch,
      now: this.#host.now,
      refused: forget,
      ending: () => {},
      counts: { hop: () => {} },
    })
    this.#host.book.watch(route)
    this.#route = route
    this.#routes.push(route)
    return route
  }

  get routes(): readonly PeerRoute[] {
    return this.#routes
  }

  openStream(): RawStream {
    const { plan, violated } = this.#host
    // A preamble is read as a whole, and credited then: the window holds the largest, as every real one does.
    const limits = { ...plan, window: Math.max(plan.window, HOP_PREAMBLE_BYTES + 2) }
    const [near, far] = streamPair(this.#host.newStreamId(), limits, violated)
    this.#host.opened(near)
    receiveHop(far, this.#house, {
      admits: () => true,
      returned: (id, failure) => void this.#failures.set(id, failure),
      withdrawn: ({ epoch }) => this.#withdrawn(epoch),
      violated: (fault) => violated(`a hop stream broke the protocol: ${fault.detail}`),
    })
    return near
  }

  add(stream: HopStream): void {
    this.streams.add(stream)
  }

  remove(stream: HopStream): void {
    this.streams.delete(stream)
  }

  busy(by: 1 | -1): void {
    this.busyStreams += by
  }

  takeFailure(streamId: number): Failure | undefined {
    const failure = this.#failures.get(streamId)
    this.#failures.delete(streamId)
    return failure
  }

  #withdrawn(epoch: number): void {
    const route = this.#route
    if (route?.epoch !== epoch) return
    this.#route = undefined
    route.retire()
  }
}
