/** The streams of a session: which are open, how many may be, which ids were used. Knows nothing of frames or bytes. */
import { TunnelFault } from '../fault.ts'
import { PeerIds } from './peer-ids.ts'
import type { MuxStream } from './raw-stream.ts'

/** Ids are 32 bits and never used twice; a session that has used its own up is replaced by a new one. */
const LAST_ID = 0xffff_ffff

export interface TableOptions {
  readonly side: 'agent' | 'server'
  readonly ownStreams: number
  readonly peerStreams: number
  readonly firstId: number | undefined
}

export class StreamTable {
  /** While true no stream is opened in either direction. */
  refusing = false
  readonly #streams = new Map<number, MuxStream>()
  /** Of our own, those that nobody uses and that still deliver what they were given; the oldest first. */
  readonly delivering = new Set<MuxStream>()
  readonly #ownStreams: number
  readonly #peerStreams: number
  /** `id % 2` of the streams this side opens. */
  readonly #ownParity: number
  readonly #firstId: number
  readonly #peerIds: PeerIds
  #nextId: number
  #ownOpen = 0

  constructor(options: TableOptions) {
    const isAgent = options.side === 'agent'
    this.#ownStreams = options.ownStreams
    this.#peerStreams = options.peerStreams
    this.#ownParity = isAgent ? 1 : 0
    this.#firstId = options.firstId ?? (isAgent ? 1 : 2)
    this.#nextId = this.#firstId
    this.#peerIds = new PeerIds(isAgent ? 'even' : 'odd')
  }

  get size(): number {
    return this.#streams.size
  }

  get(id: number): MuxStream | undefined {
    return this.#streams.get(id)
  }

  values(): IterableIterator<MuxStream> {
    return this.#streams.values()
  }

  /** The id of the next stream this side opens. Throws `streams-exhausted`, or `channel-closed` if all ids are used up. */
  takeOwnId(): number {
    if (this.#nextId > LAST_ID) throw new TunnelFault('channel-closed', 'its stream ids are used up')
    if (this.refusing) throw new TunnelFault('streams-exhausted', 'the tunnel holds too much memory')
    if (this.#ownOpen >= this.#ownStreams) this.#endOldestDelivery()
    if (this.#ownOpen >= this.#ownStreams) throw new TunnelFault('streams-exhausted')
    const id = this.#nextId
    this.#nextId += 2
    return id
  }

  /** Who uses a stream comes before what nobody waits for. */
  #endOldestDelivery(): void {
    const [oldest] = this.delivering
    oldest?.abandon(new TunnelFault('stream-reset', 'its place was needed'), true)
  }

  /** Takes the id of a stream the peer opens. Returns the rule it breaks, if any. */
  takePeerId(id: number): string | undefined {
    if (id === 0) return 'SYN for stream 0'
    if (this.isOwn(id)) return `SYN for stream ${id}, whose parity is ours`
    return this.#peerIds.use(id) ? undefined : `second SYN for stream ${id}`
  }

  /** Whether the peer has fewer streams open than it may. */
  get peerHasPlace(): boolean {
    return this.#streams.size - this.#ownOpen < this.#peerStreams
  }

  add(stream: MuxStream): void {
    this.#streams.set(stream.id, stream)
    if (this.isOwn(stream.id)) this.#ownOpen++
  }

  /** False: it was not open. */
  remove(stream: MuxStream): boolean {
    if (!this.#streams.delete(stream.id)) return false
    if (this.isOwn(stream.id)) this.#ownOpen--
    this.delivering.delete(stream)
    return true
  }

  /** Whether a frame of a stream that is not open may still come in good faith: the peer may not know yet that it is gone. */
  wasOpen(id: number): boolean {
    if (id === 0) return false
    if (!this.isOwn(id)) return this.#peerIds.wasUsed(id)
    return id >= this.#firstId && id < this.#nextId
  }

  /** Whether this side opens the streams with such ids. Id 0 is the session's. */
  isOwn(id: number): boolean {
    return id % 2 === this.#ownParity && id !== 0
  }
}
