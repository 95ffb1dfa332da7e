/** The route to a tunnel whose local server speaks HTTP/2: a few sessions, each with many requests. Knows nothing of what HTTP/2 is made of. */
import type { NoticeKind } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { H2_SESSION_IDLE_MS, H2_SESSIONS_PER_TUNNEL, STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import type { AgentStreams } from '../local-route.ts'
import type { QueuePlaces } from '../queue-places.ts'
import type { Asker, Freshness, Lease } from '../route.ts'
import { RouteUsers } from '../route-users.ts'
import { StreamQueue } from '../stream-queue.ts'
import { Retirement, type TunnelRoute } from '../tunnel-route.ts'
import type { VisitorGate } from '../visitor-gate.ts'
import type { H2OriginStream } from './h2-origin-stream.ts'
import { H2Session } from './h2-session.ts'

export class H2Route implements TunnelRoute {
  readonly gate: VisitorGate | undefined
  readonly queue: StreamQueue
  readonly users = new RouteUsers()
  readonly #source: AgentStreams
  readonly #now: () => number
  readonly #retirement = new Retirement()
  readonly #sessions = new Set<H2Session>()
  /** Closed, with the stream perhaps still waiting for the local server to end as well. */
  readonly #closed = new Set<H2Session>()

  /** `now` is monotonic, in milliseconds. */
  constructor(source: AgentStreams, now: () => number, gate?: VisitorGate, places?: QueuePlaces) {
    this.gate = gate
    this.queue = new StreamQueue(places, source.tenant)
    this.#source = source
    this.#now = now
    source.whenStreamGone?.(() => this.queue.freed())
    source.besides = this
  }

  /** Bytes that wait in its sessions, for a visitor or for the local server. */
  get heldBytes(): number {
    let bytes = 0
    for (const session of this.#sessions) for (const stream of session.holders()) bytes += stream.held
    return bytes
  }

  resetLongestStalled(): boolean {
    let longest: H2OriginStream | undefined
    for (const session of this.#sessions)
      for (const stream of session.holders())
        if (longest === undefined || stream.stalledSince < longest.stalledSince) longest = stream
    longest?.shed()
    return longest !== undefined
  }

  /** A request is a stream of its own, so none is older than another. */
  lease(_freshness: Freshness, _asker?: Asker, again = false): Lease {
    if (!again) this.queue.guard()
    let open = 0
    let chosen: H2Session | undefined
    for (const session of this.#sessions) {
      open += session.open
      if (chosen === undefined && session.hasRoom) chosen = session
    }
    if (open >= STREAMS_PER_CHANNEL) throw new TunnelFault('streams-exhausted')
    return (chosen ?? this.#open()).lease()
  }

  sweep(): void {
    for (const session of this.#closed) session.destroy()
    this.#closed.clear()
    const before = this.#now() - H2_SESSION_IDLE_MS
    for (const session of this.#sessions) {
      session.sweep()
      if (session.open === 0 && session.idleSince <= before) session.leave()
    }
    // A local server may have said meanwhile that it takes more.
    this.queue.sweep()
  }

  /** Sessions end with the requests that they have. */
  retire(): void {
    for (const session of this.#sessions) session.leave()
    this.#retirement.begin()
    this.queue.freed()
  }

  whenRetired(tell: () => void): () => void {
    return this.#retirement.whenBegun(tell)
  }

  get firstByteMs(): number | undefined {
    return this.#source.firstByteMs
  }

  notify(about: NoticeKind, detail: string): void {
    this.#source.notify?.(about, detail)
  }

  get roundTripMs(): number | undefined {
    return this.#source.roundTripMs
  }

  /** Streams of the tunnel that carry no request just now. */
  get idleStreams(): number {
    let idle = 0
    for (const { open } of this.#sessions) if (open === 0) idle += 1
    return idle
  }

  #open(): H2Session {
    if (this.#sessions.size >= H2_SESSIONS_PER_TUNNEL) throw new TunnelFault('streams-exhausted')
    const stream = this.#source.openStream()
    const session = new H2Session({
      stream,
      takeFailure: () => this.#source.takeFailure(stream.id),
      now: this.#now,
      over: () => this.queue.freed(),
      gone: () => {
        this.#sessions.delete(session)
        this.#closed.add(session)
        this.queue.freed()
      },
    })
    this.#sessions.add(session)
    return session
  }
}
