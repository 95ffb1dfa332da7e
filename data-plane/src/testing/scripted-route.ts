/** A route for tests: its streams are in the hands of the test, which plays the local server. Knows nothing of channels. */
import { EventEmitter, once } from 'node:events'
import type { TunnelFault } from '@postern/protocol/fault'
import type { ByteStream, StreamListener } from '@postern/protocol/mux'
import type { Freshness, Lease, Route } from '../route/route.ts'
import { RouteUsers } from '../route/route-users.ts'
import type { Verdict, VisitorGate } from '../route/visitor-gate.ts'

export class ScriptedStream implements ByteStream {
  received = ''
  consumed = 0
  state: 'open' | 'ended' | 'reset' = 'open'
  listener: StreamListener | undefined
  readonly #changed = new EventEmitter()

  listen(listener: StreamListener): void {
    this.listener = listener
  }

  write(chunk: Buffer): boolean {
    this.received += chunk.toString('latin1')
    this.#changed.emit('change')
    return true
  }

  end(): void {
    if (this.state === 'open') this.state = 'ended'
    this.#changed.emit('change')
  }

  reset(): void {
    this.state = 'reset'
    this.#changed.emit('change')
  }

  consume(bytes: number): void {
    this.consumed += bytes
  }

  /** What the local server says. */
  answer(text: string): void {
    this.listener?.data(Buffer.from(text, 'latin1'))
  }

  /** Resolves once `holds` is true of this stream. */
  async until(holds: (stream: ScriptedStream) => boolean): Promise<void> {
    while (!holds(this)) await once(this.#changed, 'change', { signal: AbortSignal.timeout(5000) })
  }
}

export interface ScriptedLease {
  readonly stream: ScriptedStream
  readonly freshness: Freshness
  kept: number | undefined
  left: boolean
  /** It was left while the local server may still be reading. */
  unread: boolean
}

/** What the lease of that index is: a reused stream, one that fails as the agent says, or none. */
type Plan = (index: number) => {
  reused?: boolean
  failure?: { fault: TunnelFault; unsent: boolean }
  none?: TunnelFault
}

/** Hands out streams as planned. */
export class ScriptedRoute implements Route {
  readonly leases: ScriptedLease[] = []
  readonly users = new RouteUsers()
  gate: VisitorGate | undefined
  readonly #plan: Plan
  readonly #leased = new EventEmitter()

  constructor(plan: Plan = () => ({})) {
    this.#plan = plan
  }

  lease(freshness: Freshness): Lease {
    const { reused = false, failure, none } = this.#plan(this.leases.length)
    if (none !== undefined) throw none
    const lease: ScriptedLease = {
      stream: new ScriptedStream(),
      freshness,
      kept: undefined,
      left: false,
      unread: false,
    }
    this.leases.push(lease)
    this.#leased.emit('lease')
    return {
      stream: lease.stream,
      reused,
      keep: (idleMs) => {
        lease.kept = idleMs
      },
      leave: (unread = false) => {
        lease.left = true
        lease.unread = unread
      },
      reset: () => lease.stream.reset(),
      failure: () => failure,
    }
  }

  /** The lease of that index, as soon as there is one. */
  async leased(index: number): Promise<ScriptedLease> {
    while (this.leases.length <= index) await once(this.#leased, 'lease', { signal: AbortSignal.timeout(5000) })
    return this.leases[index]!
  }
}

/** A route whose gate answers so, and changes nothing. */
export function guarded(judge: (path: string) => Verdict | Promise<Verdict>): ScriptedRoute {
  const route = new ScriptedRoute()
  route.gate = { judge: (_address, head) => judge(head.path) }
  return route
}
