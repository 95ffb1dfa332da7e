/** Bounds what the streams of one HTTP/2 connection hold in memory: requests wait, and streams are evicted. */
import {
  H2_HELD_BYTES,
  H2_HELD_UPLOAD_BYTES,
  H2_UNREAD_BYTES,
  INITIAL_WINDOW_BYTES,
  STREAM_WAIT_MS,
} from '@postern/protocol/limits'
import type { StreamLoad } from './stream-load.ts'

export interface WeighedStream {
  readonly load: Pick<StreamLoad, 'sending' | 'held' | 'weight' | 'leastWeight'>
  /** Ends now, with all that it holds. */
  evict(): void
}

/** So few streams need not be weighed. */
const UNWEIGHED_STREAMS = Math.floor(H2_UNREAD_BYTES / (INITIAL_WINDOW_BYTES + H2_HELD_UPLOAD_BYTES))
/** A connection that holds no more than this is read by its visitor, and its local servers read, too. */
const LITTLE_HELD_BYTES = H2_UNREAD_BYTES / 4

/** What all streams hold is added up no more often than this, or a body in single bytes would cost a look at every stream for each. */
const LOOK_AGAIN_BYTES = 32 * 1024

export class ConnectionLoad {
  readonly #streams: ReadonlySet<WeighedStream>
  readonly #now: () => number
  readonly #failed: (error: unknown) => void
  /** What is called when a request may be sent, and since when it waits. */
  readonly #deferred = new Map<() => void, number>()
  /** Since what all streams hold was last added up. */
  #added = 0
  #evicting = false

  /** `failed` gets what an eviction throws. */
  constructor(streams: ReadonlySet<WeighedStream>, now: () => number, failed: (error: unknown) => void) {
    this.#streams = streams
    this.#now = now
    this.#failed = failed
  }

  /** As `Downstream.defer`. */
  defer(ready: () => void): (() => void) | undefined {
    if (this.#streams.size <= UNWEIGHED_STREAMS || this.#weight() < H2_UNREAD_BYTES) return undefined
    this.#deferred.set(ready, this.#now())
    return () => this.#deferred.delete(ready)
  }

  /** A stream holds less than before, or time has passed. First come, first served; what may come is no reason to wait for long, while little does come. */
  relieved(): void {
    for (const [ready, since] of this.#deferred) {
      const isLate = this.#now() >= since + STREAM_WAIT_MS && this.#leastWeight() < LITTLE_HELD_BYTES
      if (this.#weight() >= H2_UNREAD_BYTES && !isLate) return
      this.#deferred.delete(ready)
      ready()
    }
  }

  /** A stream holds so many bytes more than before. It may be evicted, but not before the caller is done. */
  burdened(bytes: number): void {
    this.#added += bytes
    if (this.#added < LOOK_AGAIN_BYTES || this.#streams.size <= UNWEIGHED_STREAMS || this.#evicting) return
    this.#added = 0
    if (this.#held() <= H2_HELD_BYTES) return
    this.#evicting = true
    queueMicrotask(() => {
      this.#evicting = false
      try {
        while (this.#held() > H2_HELD_BYTES) this.#evictOne()
      } catch (error) {
        this.#failed(error)
      }
    })
  }

  #weight(): number {
    const now = this.#now()
    let bytes = 0
    for (const { load } of this.#streams) bytes += load.weight(now)
    return bytes
  }

  #leastWeight(): number {
    const now = this.#now()
    let bytes = 0
    for (const { load } of this.#streams) bytes += load.leastWeight(now)
    return bytes
  }

  #held(): number {
    let bytes = 0
    for (const { load } of this.#streams) bytes += load.held
    return bytes
  }

  /** Of the requests that were not sent, or else of all, the one that holds most. */
  #evictOne(): void {
    let chosen: WeighedStream | undefined
    for (const stream of this.#streams) if (isBefore(stream, chosen)) chosen = stream
    chosen?.evict()
  }
}

function isBefore({ load }: WeighedStream, other: WeighedStream | undefined): boolean {
  if (load.held === 0) return false
  if (other === undefined) return true
  return load.sending === other.load.sending ? load.held > other.load.held : !load.sending
}
