/** The channel to another task, as the task sees it that asks: streams out, notes in, and a sign of life while an answer is awaited. Knows nothing of names. */
import type tls from 'node:tls'
import { Channel, ControlStream, Heartbeat, needsReplacement } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import {
  HOP_NOTES_PER_SECOND,
  HOP_PING_MS,
  HOP_SILENCE_MS,
  HOP_STREAMS,
  REPLACED_CHANNEL_MS,
  UPGRADE_END_MS,
} from '@postern/protocol/limits'
import type { RawStream, WindowBudget } from '@postern/protocol/mux'
import type { HopHost, HopStream } from '../route/hop-stream.ts'
import type { Hop } from '../route/peer-route.ts'
import type { Failure } from '../route/route.ts'
import { type EndingNote, faultOfNote, type HopNote, hopNotes, type ReturnedNote } from './hop-notes.ts'
import { type TenantShare, TenantShares } from './tenant-shares.ts'

export interface PeerChannelOptions {
  readonly socket: tls.TLSSocket
  readonly budget: WindowBudget
  /** Monotonic milliseconds. */
  now(): number
  /** Age at which it is to be replaced; milliseconds. */
  readonly longestMs: number
  /** The other process proves that it is the one that its boot id names. */
  proof(signature: string): void
  /** The other task no longer serves that channel of a name. */
  withdrawn(note: Extract<HopNote, { type: 'withdrawn' }>): void
  /** Code of a stream threw; the channel goes on. */
  streamCrashed(fault: TunnelFault): void
  /** No further streams: called once. `silent`: its task is out of reach, and what is open may or may not end; otherwise all of it has. */
  over(how: 'silent' | 'gone' | 'leaving', fault: TunnelFault | undefined): void
  /** Nothing is left of it. After `over`, once. */
  ended(): void
}

export class PeerChannel {
  readonly #streams = new Set<HopStream>()
  /** What opens streams, by tenant. */
  readonly #hops = new Map<string, Hop>()
  readonly #shares: TenantShares
  readonly #options: PeerChannelOptions
  readonly #channel: Channel
  readonly #watch: Heartbeat
  /** What was said of streams that were then reset; each is asked for at once, or never. */
  readonly #failures = new Map<number, Failure>()
  #notes: ControlStream<never, HopNote> | undefined
  #busy = 0
  #over = false
  #isSilent = false
  /** Runs from the moment another channel has taken its place. */
  #lastStretch: NodeJS.Timeout | undefined

  constructor(options: PeerChannelOptions) {
    this.#options = options
    this.#channel = new Channel({
      socket: options.socket,
      side: 'agent',
      budget: options.budget,
      now: options.now,
      peerStreams: 1,
      ownStreams: HOP_STREAMS,
      events: {
        streamOpened: (stream) => this.#listenToNotes(stream),
        streamCrashed: options.streamCrashed,
        goAway: () => this.#end('leaving', undefined),
        closed: () => this.#ended(undefined),
        lost: (fault) => this.#ended(fault),
      },
    })
    this.#shares = new TenantShares(this.#channel)
    let idle = 0
    this.#watch = new Heartbeat({
      ping: () => this.#busy > 0 && this.#channel.ping(),
      // Nothing is missed from a task that is asked nothing: it counts as heard.
      received: () => (this.#busy > 0 ? this.#channel.bytesIn : -++idle),
      silent: () => this.#silent(),
      intervalMs: HOP_PING_MS,
      silenceMs: HOP_SILENCE_MS,
    })
  }

  /** Whether new requests take it. */
  get open(): boolean {
    return !this.#over && this.#lastStretch === undefined
  }

  /** Whether its keys have served for long enough. */
  get needsReplacement(): boolean {
    return needsReplacement(this.#channel, this.#options.longestMs)
  }

  /** For the guard of the process's memory: what each tenant holds here. */
  get shares(): Iterable<TenantShare> {
    return this.#shares.all()
  }

  /** The way to tunnels of one tenant: the same object each time. */
  hopFor(tenant: string): Hop {
    let hop = this.#hops.get(tenant)
    if (hop === undefined) {
      hop = this.#makeHop(tenant)
      this.#hops.set(tenant, hop)
    }
    return hop
  }

  /**
   * Another channel to the same task has taken its place. What is open on it may finish, for REPLACED_CHANNEL_MS at the most; then it is ended
   * like the channel of an agent that was replaced, and the channel closed.
   */
  replaced(): void {
    if (!this.open) return
    this.#lastStretch = setTimeout(() => {
      this.#tellRoutes({ type: 'ending' })
      this.#lastStretch = setTimeout(() => void this.close(), UPGRADE_END_MS)
    }, REPLACED_CHANNEL_MS)
    this.#closeIfIdle()
  }

  /** Ends it at once. */
  destroy(fault: TunnelFault): void {
    this.#channel.destroy(fault)
  }

  /** No further streams; resolves when the channel is over. */
  async close(): Promise<void> {
    this.#end('leaving', undefined)
    await this.#channel.close()
  }

  #makeHop(tenant: string): Hop {
    const channel = this
    const share = this.#shares.of(tenant)
    return {
      get open() {
        return channel.open
      },
      openStream: () => this.#openStream(share),
      add: (stream) => this.#streams.add(stream),
      remove: (stream) => this.#remove(stream),
      busy: (by) => {
        this.#busy += by
      },
      takeFailure: (streamId) => this.#takeFailure(streamId),
    }
  }

  /** A request that was on its way to this channel when it was replaced still gets its stream. */
  #openStream(share: TenantShare): RawStream {
    if (this.#over) throw new TunnelFault('channel-closed')
    if (share.refusing) throw new TunnelFault('streams-exhausted', 'the tunnel holds too much memory')
    const stream = this.#channel.openStream()
    this.#notes?.streamOpened()
    this.#shares.assign(stream, share)
    return stream
  }

  #remove(stream: HopStream): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    if (this.#isSilent) this.#channel.destroy(new TunnelFault('peer-unreachable'))
    else if (this.#lastStretch !== undefined) this.#closeIfIdle()
  }

  #closeIfIdle(): void {
    if (this.#streams.size === 0) void this.close()
  }

  #takeFailure(streamId: number): Failure | undefined {
    const failure = this.#failures.get(streamId)
    if (failure !== undefined) this.#failures.delete(streamId)
    return failure
  }

  #listenToNotes(stream: RawStream): void {
    this.#notes = new ControlStream<never, HopNote>(
      {
        stream,
        linesPerSecond: HOP_NOTES_PER_SECOND,
        answersStream: ({ type }) => type === 'returned',
        now: this.#options.now,
        message: (note) => this.#hear(note),
        ended: (fault) => {
          if (fault?.code === 'protocol-violation') this.#channel.destroy(fault)
        },
      },
      hopNotes,
    )
  }

  #hear(note: HopNote): void {
    if (note.type === 'proof') return this.#options.proof(note.signature)
    if (note.type === 'withdrawn') return this.#options.withdrawn(note)
    if (note.type === 'ending') return this.#tellRoutes(note)
    if (!this.#channel.has(note.streamId)) return
    this.#failures.set(note.streamId, failureOf(note))
    if (this.#failures.size <= HOP_STREAMS) return
    const [oldest] = this.#failures.keys()
    this.#failures.delete(oldest!)
  }

  #tellRoutes({ claim }: EndingNote): void {
    const concerned = new Set<HopHost>()
    for (const { host } of this.#streams)
      if (claim === undefined || (host.name === claim.name && host.epoch === claim.epoch)) concerned.add(host)
    for (const host of concerned) host.ending()
  }

  /** Whoever waits for an answer is told; what already comes may go on, and is cut when the channel's own heartbeat says so. */
  #silent(): void {
    this.#end('silent', undefined)
    const fault = new TunnelFault('peer-unreachable')
    for (const stream of [...this.#streams]) {
      if (!stream.awaiting) continue
      this.#failures.set(stream.id, { fault, unsent: false, next: 'elsewhere' })
      stream.abandon(fault)
    }
    this.#isSilent = true
    if (this.#streams.size === 0) this.#channel.destroy(fault)
  }

  #ended(fault: TunnelFault | undefined): void {
    clearTimeout(this.#lastStretch)
    this.#end('gone', fault)
    this.#options.ended()
  }

  #end(how: 'silent' | 'gone' | 'leaving', fault: TunnelFault | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#watch.stop()
    this.#options.over(how, fault)
  }
}

const failureOf = (note: ReturnedNote): Failure => ({
  fault: faultOfNote(note),
  unsent: note.unsent,
  ...(note.next !== undefined && { next: note.next }),
})
