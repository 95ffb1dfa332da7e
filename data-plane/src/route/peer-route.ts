/** The route to a tunnel whose channel another task holds: streams to that task, kept for further requests. */
import type { Subdomain } from '@postern/protocol/address'
import type { NoticeKind } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { NOTICE_CHARACTERS, PEER_STREAM_AGE_MS, STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import type { RawStream } from '@postern/protocol/mux'
import { AgentNotices } from '../channel/agent-notices.ts'
import { writePreamble } from './hop-preamble.ts'
import { type HopHost, HopStream } from './hop-stream.ts'
import { Leftover } from './leftover.ts'
import type { QueuePlaces } from './queue-places.ts'
import type { Asker, Failure, Freshness, Lease, Route } from './route.ts'
import { RouteUsers } from './route-users.ts'
import { StreamPool } from './stream-pool.ts'
import { StreamQueue } from './stream-queue.ts'
import { Retirement } from './tunnel-route.ts'

/** The channel to that task. */
export interface Hop {
  /** Whether it takes streams. */
  readonly open: boolean
  /** @throws TunnelFault `streams-exhausted`, `channel-closed` */
  openStream(): RawStream
  /** What becomes of the stream is the hop's affair too, until it is removed: it may abandon it. */
  add(stream: HopStream): void
  remove(stream: HopStream): void
  /** An exchange begins or ends on one of its streams. */
  busy(by: 1 | -1): void
  /** What the other task said of a stream that it reset; told once. */
  takeFailure(streamId: number): Failure | undefined
}

export interface PeerRouteOptions {
  readonly hop: Hop
  readonly name: Subdomain
  /** Who answers for it. */
  readonly tenant?: string
  /** Of the claim that is meant. */
  readonly epoch: number
  /** Monotonic milliseconds. */
  now(): number
  /** The other task does not have the tunnel, or does not serve it, or has just lost it. */
  refused(route: PeerRoute): void
  /** The other task ends the tunnel's channel in a moment: what is under way on the route is to be ended before. */
  ending(route: PeerRoute): void
  readonly counts: { hop(): void }
  readonly places?: QueuePlaces
}

const MOVED: Failure = { fault: new TunnelFault('tunnel-moved'), unsent: true, next: 'elsewhere' }

export class PeerRoute implements Route, HopHost {
  readonly name: Subdomain
  readonly epoch: number
  readonly hop: Hop
  readonly queue: StreamQueue
  readonly users = new RouteUsers()
  readonly #options: PeerRouteOptions
  readonly #pool: StreamPool
  readonly #notices: AgentNotices
  readonly #refused = new Set<number>()
  readonly #retirement = new Retirement()
  #open = 0
  #outstanding = 0

  constructor(options: PeerRouteOptions) {
    this.name = options.name
    this.epoch = options.epoch
    this.hop = options.hop
    this.queue = new StreamQueue(options.places, options.tenant)
    this.#options = options
    this.#notices = new AgentNotices(options.now)
    this.#pool = new StreamPool(
      { openStream: (asker) => this.#openStream(asker), takeFailure: (id) => this.#takeFailure(id) },
      options.now,
      this.queue,
      PEER_STREAM_AGE_MS,
    )
  }

  /** Exchanges under way. */
  get outstanding(): number {
    return this.#outstanding
  }

  lease(freshness: Freshness, asker: Asker, again = false): Lease {
    const lease = this.#pool.lease(freshness, asker, again)
    this.#options.counts.hop()
    return lease
  }

  /** Called about once a second. */
  sweep(): void {
    this.#pool.sweep()
    this.queue.sweep()
  }

  /** No further requests take it. */
  retire(): void {
    this.#pool.retire()
    this.#retirement.begin()
  }

  whenRetired(tell: () => void): () => void {
    return this.#retirement.whenBegun(tell)
  }

  /** By way of the node that has the agent, on a stream of its own. Nothing is said while that takes no stream. */
  notify(about: NoticeKind, detail: string): void {
    if (!this.hop.open || !this.#notices.admit(about, detail)) return
    let stream: RawStream
    try {
      stream = this.hop.openStream()
    } catch (error) {
      if (error instanceof TunnelFault) return
      throw error
    }
    const { name, epoch } = this
    const notice = { about, detail: detail.slice(0, NOTICE_CHARACTERS) }
    stream.listen(new Leftover(stream))
    stream.write(writePreamble({ name, epoch, visitorAddress: '', requestId: '', notice }))
    stream.end()
  }

  begun(): void {
    this.#outstanding += 1
    this.hop.busy(1)
  }

  rested(): void {
    this.#outstanding -= 1
    this.hop.busy(-1)
  }

  refused(streamId: number): void {
    this.#refused.add(streamId)
    this.#options.refused(this)
  }

  ending(): void {
    this.#options.ending(this)
  }

  gone(stream: HopStream): void {
    this.#open -= 1
    this.hop.remove(stream)
    this.queue.freed()
  }

  #openStream(asker: Asker): HopStream {
    const { name, epoch } = this
    if (this.#open >= STREAMS_PER_CHANNEL) throw new TunnelFault('streams-exhausted')
    const { visitorAddress, requestId } = asker
    const stream = new HopStream(this.hop.openStream(), this, writePreamble({ name, epoch, visitorAddress, requestId }))
    this.#open += 1
    this.hop.add(stream)
    return stream
  }

  #takeFailure(streamId: number): Failure | undefined {
    if (this.#refused.delete(streamId)) return MOVED
    const failure = this.hop.takeFailure(streamId)
    // Said of a stream before it is said of the tunnel.
    if (failure?.next === 'elsewhere' && this.hop.open) this.#options.refused(this)
    return failure
  }
}
