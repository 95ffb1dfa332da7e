/** Accepts the channels of other tasks, and what they carry. Knows nothing of how a tunnel is reached. */
import { createServer, type Server, type Socket } from 'node:net'
import { acceptHop, Channel, ControlStream, type HopPeer } from '@postern/protocol/channel'
import { type TunnelFault, toFault } from '@postern/protocol/fault'
import { HOP_CHANNELS, HOP_NOTES_PER_SECOND, HOP_STREAMS } from '@postern/protocol/limits'
import type { WindowBudget } from '@postern/protocol/mux'
import type { DeploymentKeys } from '@postern/protocol/ticket'
import { type HopNote, returnedNote, type WithdrawnNote } from './hop-notes.ts'
import { type HopHouse, receiveHop } from './incoming-hop.ts'

export interface PeerListenerOptions {
  readonly keys: DeploymentKeys
  readonly budget: WindowBudget
  readonly house: HopHouse
  /** Monotonic milliseconds. */
  now(): number
  readonly events: {
    opened(peer: HopPeer): void
    /** A connection that has not proven the key, or not in time; `address` is where it came from. */
    refused(fault: TunnelFault, address: string | undefined): void
    over(peer: HopPeer, fault: TunnelFault | undefined): void
  }
}

export class PeerListener {
  readonly server: Server
  readonly #options: PeerListenerOptions
  readonly #channels = new Set<Channel>()
  readonly #stopping = new AbortController()

  constructor(options: PeerListenerOptions) {
    this.#options = options
    this.server = createServer({ noDelay: true }, (socket) => void this.#accept(socket))
    this.server.maxConnections = HOP_CHANNELS
  }

  /** Channels of other tasks that are open. */
  get channels(): ReadonlySet<Channel> {
    return this.#channels
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.#stopping.abort()
    await Promise.all([...this.#channels].map((channel) => channel.close()))
    await closed
  }

  async #accept(raw: Socket): Promise<void> {
    const { keys, events } = this.#options
    const address = raw.remoteAddress
    try {
      const { socket, peer } = await acceptHop(raw, keys, { signal: this.#stopping.signal })
      events.opened(peer)
      this.#serve(socket, peer)
    } catch (error) {
      events.refused(toFault(error, 'channel-closed'), address)
    }
  }

  #serve(socket: Awaited<ReturnType<typeof acceptHop>>['socket'], peer: HopPeer): void {
    const { budget, now, house, events } = this.#options
    const over = (fault: TunnelFault | undefined): void => {
      this.#channels.delete(channel)
      events.over(peer, fault)
    }
    const channel: Channel = new Channel({
      socket,
      side: 'server',
      budget,
      now,
      peerStreams: HOP_STREAMS,
      events: {
        streamOpened: (stream) => receiveHop(stream, house, desk),
        closed: () => over(undefined),
        lost: over,
      },
    })
    this.#channels.add(channel)
    const notes = new ControlStream<HopNote, never>(
      {
        stream: channel.openControlStream(),
        linesPerSecond: HOP_NOTES_PER_SECOND,
        now,
        message: () => {},
        ended: () => {},
      },
      {},
    )
    /** Claims that the other task has been told of. */
    const told = new Set<string>()
    const desk = {
      returned: (streamId: number, failure: Parameters<typeof returnedNote>[1]) =>
        void notes.send(returnedNote(streamId, failure)),
      withdrawn: ({ name, epoch }: Omit<WithdrawnNote, 'type'>) => {
        const key = `${name}/${epoch}`
        if (told.has(key)) return
        told.add(key)
        // Each of its streams tells; the last of them does so in this turn.
        setImmediate(() => told.delete(key))
        notes.send({ type: 'withdrawn', name, epoch })
      },
      violated: (fault: TunnelFault) => channel.destroy(fault),
    }
  }
}
