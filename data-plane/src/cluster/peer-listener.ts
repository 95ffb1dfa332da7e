/** Accepts the channels of other tasks, and what they carry. Knows nothing of how a tunnel is reached. */
import { createServer, type Server, type Socket } from 'node:net'
import { acceptHop, Channel, ControlStream, type HopPeer, hopBinding } from '@postern/protocol/channel'
import { type TunnelFault, toFault } from '@postern/protocol/fault'
import { HOP_CHANNELS, HOP_END_LOOK_MS, HOP_STREAMS } from '@postern/protocol/limits'
import type { RawStream, WindowBudget } from '@postern/protocol/mux'
import type { DeploymentKeys, NodeKey } from '@postern/protocol/ticket'
import { type EndingNote, type HopNote, returnedNote, type WithdrawnNote } from './hop-notes.ts'
import { type HopHouse, receiveHop } from './incoming-hop.ts'
import { type TenantShare, TenantShares } from './tenant-shares.ts'

export interface PeerListenerOptions {
  /** Proves which process this is. */
  readonly nodeKey: Pick<NodeKey, 'prove'>
  readonly keys: DeploymentKeys
  readonly budget: WindowBudget
  readonly house: Omit<HopHouse, 'draining' | 'now'>
  /** Monotonic milliseconds. */
  now(): number
  readonly events: {
    opened(peer: HopPeer): void
    /** A connection that has not proven the key, or not in time; `address` is where it came from. */
    refused(fault: TunnelFault, address: string | undefined): void
    over(peer: HopPeer, fault: TunnelFault | undefined): void
    /** Code of a stream threw; the channel goes on. */
    streamCrashed(fault: TunnelFault): void
  }
}

/** What belongs to a channel of another task. */
interface Accepted {
  /** The stream for notes to that task. */
  readonly notes: ControlStream<HopNote, never>
  readonly shares: TenantShares
}

export class PeerListener {
  readonly server: Server
  readonly #options: PeerListenerOptions
  readonly #channels = new Map<Channel, Accepted>()
  #draining = false
  readonly #stopping = new AbortController()

  constructor(options: PeerListenerOptions) {
    this.#options = options
    this.server = createServer({ noDelay: true }, (socket) => void this.#accept(socket))
    this.server.maxConnections = HOP_CHANNELS
  }

  /** What each tenant holds on the channels of other tasks. */
  get shares(): Iterable<TenantShare> {
    return [...this.#channels.values()].flatMap(({ shares }) => [...shares.all()])
  }

  /** Other tasks end what they have under way by that claim: its channel is closed in a moment. */
  ending(claim: EndingNote['claim']): void {
    for (const { notes } of this.#channels.values())
      notes.send({ type: 'ending', ...(claim !== undefined && { claim }) })
  }

  /**
   * What came by a hop has `graceMs` to end by itself. Then nothing more is taken, and the other tasks have `endMs` to end it, as far as the
   * protocols of their visitors have a word for it. Resolves when nothing is left, or then.
   */
  async drain(graceMs: number, endMs: number): Promise<void> {
    await this.#emptiedIn(graceMs)
    this.#draining = true
    this.ending(undefined)
    await this.#emptiedIn(endMs)
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.#stopping.abort()
    await Promise.all([...this.#channels.keys()].map((channel) => channel.close()))
    await closed
  }

  /** Looks now and then: nothing on the path of a request is to count for it. */
  async #emptiedIn(ms: number): Promise<void> {
    const until = this.#options.now() + ms
    // The stream of notes is always there.
    const isBusy = (): boolean => [...this.#channels.keys()].some((channel) => channel.streams > 1)
    while (isBusy() && this.#options.now() < until) await new Promise((resolve) => setTimeout(resolve, HOP_END_LOOK_MS))
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
    const { budget, now, events, nodeKey } = this.#options
    const signature = nodeKey.prove(hopBinding(socket))
    const house = { ...this.#options.house, draining: () => this.#draining, now }
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
        streamCrashed: events.streamCrashed,
        closed: () => over(undefined),
        lost: over,
      },
    })
    const notes = new ControlStream<HopNote, never>(
      {
        stream: channel.openControlStream(),
        now,
        message: () => {},
        ended: () => {},
      },
      {},
    )
    notes.send({ type: 'proof', signature })
    const shares = new TenantShares(channel)
    this.#channels.set(channel, { notes, shares })
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
      admits: (stream: RawStream, tenant: string) => {
        const share = shares.of(tenant)
        shares.assign(stream, share)
        return !share.refusing
      },
      violated: (fault: TunnelFault) => channel.destroy(fault),
    }
  }
}
