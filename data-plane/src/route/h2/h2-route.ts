/** The route to a tunnel whose local server speaks HTTP/2: a few sessions, each with many requests. Knows nothing of what HTTP/2 is made of. */
import { TunnelFault } from '@postern/protocol/fault'
import { H2_SESSION_IDLE_MS, H2_SESSIONS_PER_TUNNEL, STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import type { StreamSource } from '../local-route.ts'
import type { Freshness, Lease, Route } from '../route.ts'
import type { VisitorGate } from '../visitor-gate.ts'
import { H2Session } from './h2-session.ts'

export class H2Route implements Route {
  readonly gate: VisitorGate | undefined
  readonly #source: StreamSource
  readonly #now: () => number
  readonly #sessions = new Set<H2Session>()
  /** Closed, with the stream perhaps still waiting for the local server to end as well. */
  readonly #closed = new Set<H2Session>()

  /** `now` is monotonic, in milliseconds. */
  constructor(source: StreamSource, now: () => number, gate?: VisitorGate) {
    this.gate = gate
    this.#source = source
    this.#now = now
  }

  /** A request is a stream of its own, so none is older than another. */
  lease(_freshness: Freshness): Lease {
    let open = 0
    let chosen: H2Session | undefined
    for (const session of this.#sessions) {
      open += session.open
      if (chosen === undefined && session.hasRoom) chosen = session
    }
    if (open >= STREAMS_PER_CHANNEL) throw new TunnelFault('streams-exhausted')
    return (chosen ?? this.#open()).lease()
  }

  /** Lets sessions go that nobody has used for long. Called about once a second. */
  sweep(): void {
    for (const session of this.#closed) session.destroy()
    this.#closed.clear()
    const before = this.#now() - H2_SESSION_IDLE_MS
    for (const session of this.#sessions) if (session.open === 0 && session.idleSince <= before) session.leave()
  }

  /** No further requests come: sessions end with those they have. */
  retire(): void {
    for (const session of this.#sessions) session.leave()
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
      gone: () => {
        this.#sessions.delete(session)
        this.#closed.add(session)
      },
    })
    this.#sessions.add(session)
    return session
  }
}
