/**
 * Lines on their way out, many to a write: kept in memory up to a ceiling, dropped and counted beyond it. Whoever adds one waits for nothing.
 * Knows nothing of what they say, nor of where they go.
 */
import { LINE_BATCH_BYTES, LINE_BUFFER_BYTES, LINE_DELAY_MS } from '@postern/protocol/limits'
import { LineBatch } from './line-batch.ts'

/** Takes all of the bytes, or fails; answers once, later. `torn`: some of them are out. */
export type Outlet = (bytes: Buffer, done: (error: Error | undefined, torn: boolean) => void) => void

export interface LineWriterOptions {
  readonly outlet: Outlet
  readonly delayMs?: number
  readonly bufferBytes?: number
}

const LINE_FEED = Buffer.from('\n')

/** A line becomes bytes at once: strings that wait would be walked by every collection of garbage, and be out of the processor's caches when their turn comes. */
export class LineWriter {
  /** Lines so far that were not taken, or that the outlet did not take. */
  dropped = 0
  readonly #outlet: Outlet
  readonly #delayMs: number
  readonly #bufferBytes: number
  #batch = new LineBatch()
  /** Those that are full, the oldest first. */
  readonly #full: LineBatch[] = []
  /** Written, and to be used again. */
  #spare: LineBatch | undefined
  #writing = false
  /** The latest write ended inside a line. */
  #torn = false
  #timer: NodeJS.Timeout | undefined
  #emptied: (() => void) | undefined

  constructor({ outlet, delayMs = LINE_DELAY_MS, bufferBytes = LINE_BUFFER_BYTES }: LineWriterOptions) {
    this.#outlet = outlet
    this.#delayMs = delayMs
    this.#bufferBytes = bufferBytes
  }

  /**
   * Room for a line of at most so many bytes, to be written at once and ended; undefined: it is dropped. It goes out within `delayMs`, unless those before
   * it are still on their way. @param ceiling of the bytes that wait
   */
  begin(bytes: number, ceiling = this.#bufferBytes): LineBatch | undefined {
    if (this.#full.length * LINE_BATCH_BYTES + this.#batch.length + bytes > ceiling || bytes > LINE_BATCH_BYTES) {
      this.dropped += 1
      return undefined
    }
    if (bytes > this.#batch.room) this.#next()
    if (this.#timer === undefined) this.#timer = setTimeout(this.#due, this.#delayMs)
    return this.#batch
  }

  /** A line of ASCII without its line feed. */
  add(line: string, ceiling?: number): void {
    const batch = this.begin(line.length + 1, ceiling)
    batch?.text(line)
    batch?.end()
  }

  /** What waits goes out now, unless something is on its way. */
  flush(): void {
    if (this.#writing) return
    const batch = this.#full.shift() ?? this.#taken()
    if (batch === undefined) return this.#emptied?.()
    this.#writing = true
    const bytes = this.#torn ? Buffer.concat([LINE_FEED, batch.bytes]) : batch.bytes
    this.#outlet(bytes, (error, torn) => {
      this.#writing = false
      this.#torn = torn
      if (error !== undefined) this.dropped += batch.lines
      this.#recycle(batch)
      if (this.#full.length > 0 || this.#emptied !== undefined) this.flush()
      // Those that came meanwhile, whose time was over while this was on its way.
      else if (!this.#batch.empty) this.#timer ??= setTimeout(this.#due, this.#delayMs)
    })
  }

  /** Resolves when all that was added is out, or dropped; after `graceMs` at the latest, when what is left is dropped. */
  async end(graceMs: number): Promise<void> {
    clearTimeout(this.#timer)
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(() => {
        for (const { lines } of [...this.#full, this.#batch]) this.dropped += lines
        resolve()
      }, graceMs)
      this.#emptied = () => {
        clearTimeout(deadline)
        resolve()
      }
      this.flush()
    })
  }

  /** The batch at hand is full. */
  #next(): void {
    const full = this.#taken()
    if (full === undefined) return
    this.#full.push(full)
    this.flush()
  }

  /** Takes the batch at hand and begins another; undefined if there is nothing in it. */
  #taken(): LineBatch | undefined {
    const batch = this.#batch
    if (batch.empty) return undefined
    this.#batch = this.#spare ?? new LineBatch()
    this.#spare = undefined
    return batch
  }

  #recycle(batch: LineBatch): void {
    batch.clear()
    this.#spare = batch
  }

  readonly #due = (): void => {
    this.#timer = undefined
    this.flush()
  }
}
