/** Accepts connections of agents and turns each into a tunnel. Knows nothing of visitors. */
import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { NetworkList } from '@postern/protocol/address'
import { acceptOpening, type OpeningCeilings, type OpeningHost, type ProxyPolicy } from '@postern/protocol/channel'
import { type TunnelFault, toFault } from '@postern/protocol/fault'
import { proxyPolicyFor } from './proxy-policy.ts'
import type { AgentTicket } from './ticket-host.ts'
import { Tunnel, type TunnelDeps, type TunnelEvents } from './tunnel.ts'

export interface ChannelListenerOptions {
  readonly host: OpeningHost<AgentTicket>
  readonly proxyProtocol: ProxyPolicy
  /** Where present, of them alone is a PROXY header taken. */
  readonly proxies?: NetworkList | undefined
  readonly ceilings: OpeningCeilings
  readonly tunnel: Omit<TunnelDeps, 'events'>
  readonly events: Omit<TunnelEvents, 'welcomed' | 'refused'> & {
    /** `openingMs`: since its connection was accepted. */
    welcomed(tunnel: Tunnel, openingMs: number): void
    /** An opening that came to nothing; `address` is the agent's where it is known, otherwise the socket's own peer. */
    refused(fault: TunnelFault, address: string | undefined): void
  }
}

export class ChannelListener {
  readonly server: Server
  readonly #options: ChannelListenerOptions
  readonly #tunnels = new Set<Tunnel>()
  readonly #openings = new AbortController()
  #emptied: (() => void)[] = []

  constructor(options: ChannelListenerOptions) {
    this.#options = options
    // One listener for each opening under way, which the ceilings bound; Node would warn at eleven.
    setMaxListeners(0, this.#openings.signal)
    this.server = createServer({ noDelay: true }, (socket) => void this.#open(socket))
  }

  /** Channels of this task, those that still say hello included. */
  get tunnels(): ReadonlySet<Tunnel> {
    return this.#tunnels
  }

  /** Resolves when no channel is left; others may come. */
  empty(): Promise<void> {
    if (this.#tunnels.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#emptied.push(resolve))
  }

  /** Closes every channel and releases its route, then the listener. Openings under way are dropped: their tickets stay usable unless just consumed. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.#openings.abort()
    for (const tunnel of this.#tunnels) void tunnel.close()
    // A tunnel is over when its route is released, which takes longer than its channel.
    await this.empty()
    await closed
  }

  async #open(socket: Socket): Promise<void> {
    const { host, ceilings, tunnel, events } = this.#options
    const address = socket.remoteAddress
    const proxyProtocol = proxyPolicyFor(address, this.#options.proxyProtocol, this.#options.proxies)
    const acceptedAt = tunnel.now()
    try {
      const opening = await acceptOpening(socket, host, { proxyProtocol, ceilings, signal: this.#openings.signal })
      const ownEvents: TunnelEvents = {
        welcomed: (welcome) => events.welcomed(welcome, tunnel.now() - acceptedAt),
        refused: events.refused,
        moved: events.moved,
        lastStretchOver: events.lastStretchOver,
        streamCrashed: events.streamCrashed,
        over: (ended, why) => this.#over(ended, why),
      }
      this.#tunnels.add(new Tunnel(opening, { ...tunnel, events: ownEvents }))
    } catch (error) {
      events.refused(toFault(error), address)
    }
  }

  #over(tunnel: Tunnel, why: Parameters<TunnelEvents['over']>[1]): void {
    this.#tunnels.delete(tunnel)
    this.#options.events.over(tunnel, why)
    if (this.#tunnels.size === 0) for (const resolve of this.#emptied.splice(0)) resolve()
  }
}
