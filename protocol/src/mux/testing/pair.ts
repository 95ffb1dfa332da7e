/** Two multiplexers joined by bytes in flight, which the test moves in whatever portions it likes. No part of the product. */
import type { TunnelFault } from '../../fault.ts'
import { Mux, type MuxOptions } from '../mux.ts'
import type { RawStream } from '../stream.ts'
import { WindowBudget } from '../window-budget.ts'

export class PairSide {
  readonly mux: Mux
  readonly faults: TunnelFault[] = []
  onStream: (stream: RawStream) => void = (stream) => stream.reset()
  /** Bytes under way to this side. */
  inFlight = Buffer.alloc(0)

  constructor(options: Omit<MuxOptions, 'events'>) {
    this.mux = new Mux({
      ...options,
      events: {
        outputReady: () => {},
        streamOpened: (stream) => this.onStream(stream),
        pong: () => {},
        goAway: () => {},
        violated: (fault) => void this.faults.push(fault),
      },
    })
  }
}

export class Pair {
  time = 0
  readonly agent: PairSide
  readonly server: PairSide

  constructor(options: Partial<MuxOptions> = {}) {
    const shared = { now: () => this.time, budget: new WindowBudget(0), peerStreams: 256, ...options }
    this.agent = new PairSide({ ...shared, side: 'agent' })
    this.server = new PairSide({ ...shared, side: 'server' })
  }

  other(side: PairSide): PairSide {
    return side === this.agent ? this.server : this.agent
  }

  /** Moves what `side` wants to send onto the wire. */
  pull(side: PairSide, maxBytes = Number.POSITIVE_INFINITY): void {
    const to = this.other(side)
    to.inFlight = Buffer.concat([to.inFlight, ...side.mux.pull(maxBytes)])
  }

  /** Delivers the next `count` bytes under way to `side`. */
  deliver(side: PairSide, count = Number.POSITIVE_INFINITY): void {
    const chunk = Buffer.from(side.inFlight.subarray(0, count))
    side.inFlight = side.inFlight.subarray(chunk.length)
    if (chunk.length > 0) side.mux.receive(chunk)
  }

  /** Lets everything arrive, answers included. `portion`: bytes per delivery. */
  settle(portion = Number.POSITIVE_INFINITY): void {
    for (;;) {
      this.pull(this.agent)
      this.pull(this.server)
      if (this.agent.inFlight.length + this.server.inFlight.length === 0) return
      while (this.server.inFlight.length > 0) this.deliver(this.server, portion)
      while (this.agent.inFlight.length > 0) this.deliver(this.agent, portion)
    }
  }
}
