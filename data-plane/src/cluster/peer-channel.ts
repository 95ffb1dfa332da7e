/** The channel to another task, as the task sees it that asks: streams out, notes in, and a sign of life while an answer is awaited. Knows nothing of names. */
import type tls from 'node:tls'
import { Channel, ControlStream, Heartbeat } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { HOP_NOTES_PER_SECOND, HOP_PING_MS, HOP_SILENCE_MS, HOP_STREAMS } from '@postern/protocol/limits'
import type { RawStream, WindowBudget } from '@postern/protocol/mux'
import type { HopHost, HopStream } from '../route/hop-stream.ts'
import type { Hop } from '../route/peer-route.ts'
import type { Failure } from '../route/route.ts'
import { type EndingNote, faultOfNote, type HopNote, hopNotes, type ReturnedNote } from './hop-notes.ts'

export interface PeerChannelOptions {
  readonly socket: tls.TLSSocket
  readonly budget: WindowBudget
  /** Monotonic milliseconds. */
  now(): number
  /** The other task no longer serves that channel of a name. */
  withdrawn(note: Extract<HopNote, { type: 'withdrawn' }>): void
  /** No further streams: called once. `silent`: its task is out of reach, and what is open may or may not end; otherwise all of it has. */
  over(how: 'silent' | 'gone' | 'leaving', fault: TunnelFault | undefined): void
  /** Nothing is left of it. After `over`, once. */
  ended(): void
}

export class PeerChannel implements Hop {
  readonly #streams = new Set<HopStream>()
  readonly #options: PeerChannelOptions
  readonly #channel: Channel
  readonly #watch: Heartbeat
  /** What was said of streams that were then reset; each is asked for at once, or never. */
  readonly #failures = new Map<number, Failure>()
  #notes: ControlStream<never, HopNote> | undefined
  #busy = 0
  #over = false
  #isSilent = false

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
        goAway: () => this.#end('leaving', undefined),
        closed: () => this.#ended(undefined),
        lost: (fault) => this.#ended(fault),
      },
    })
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

  get open(): boolean {
    return !this.#over
  }

  /** For the guard of the process's memory. */
  get heldBytes(): number {
    return this.#channel.heldBytes
  }

  get refusing(): boolean {
    return this.#channel.refusing
  }

  set refusing(refusing: boolean) {
    this.#channel.refusing = refusing
  }

  resetLongestStalled(): boolean {
    return this.#channel.resetLongestStalled()
  }

  openStream(): RawStream {
    if (this.#over) throw new TunnelFault('channel-closed')
    const stream = this.#channel.openStream()
    this.#notes?.streamOpened()
    return stream
  }

  add(stream: HopStream): void {
    this.#streams.add(stream)
  }

  remove(stream: HopStream): void {
    this.#streams.delete(stream)
    if (this.#isSilent && this.#streams.size === 0) this.#channel.destroy(new TunnelFault('peer-unreachable'))
  }

  busy(by: 1 | -1): void {
    this.#busy += by
  }

  takeFailure(streamId: number): Failure | undefined {
    const failure = this.#failures.get(streamId)
    if (failure !== undefined) this.#failures.delete(streamId)
    return failure
  }

  /** No further streams; resolves when the channel is over. */
  async close(): Promise<void> {
    this.#end('leaving', undefined)
    await this.#channel.close()
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
