/**
 * Lines on their way out, many to a write: kept in memory up to a ceiling, dropped and counted beyond it. Whoever adds one waits for nothing.
 * Knows nothing of what they say, nor of where they go.
 */
import { LINE_BATCH_BYTES, LINE_BUFFER_BYTES, LINE_DELAY_MS } from '@postern/protocol/limits'

/** Takes all of the bytes, or fails; answers once, later. `torn`: some of them are out. */
export type Outlet = (bytes: Buffer, done: (error: Error | undefined, torn: boolean) => void) => void

export interface LineWriterOptions {
  readonly outlet: Outlet
  readonly delayMs?: number
  readonly bufferBytes?: number
}

export class LineWriter {
  /** Lines so far that were not taken, or that the outlet did not take. */
  dropped = 0
  readonly #outlet: Outlet
  readonly #delayMs: number
  readonly #bufferBytes: number
  #batch = ''
  #lines = 0
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

  /** `line` holds ASCII only and ends in a line feed. It goes out within `delayMs`, unless those before it are still on their way. @param ceiling of the bytes that wait */
  add(line: string, ceiling = this.#bufferBytes): void {
    if (this.#batch.length + line.length > ceiling) {
      this.dropped += 1
      return
    }
    this.#batch += line
    this.#lines += 1
    if (this.#batch.length >= LINE_BATCH_BYTES) this.flush()
    else this.#timer ??= setTimeout(this.#due, this.#delayMs)
  }

  /** What waits goes out now, unless something is on its way. */
  flush(): void {
    if (this.#writing || this.#batch === '') return
    clearTimeout(this.#timer)
    this.#timer = undefined
    const lines = this.#lines
    const bytes = Buffer.from(this.#torn ? `\n${this.#batch}` : this.#batch, 'latin1')
    this.#batch = ''
    this.#lines = 0
    this.#writing = true
    this.#outlet(bytes, (error, torn) => {
      this.#writing = false
      this.#torn = torn
      if (error !== undefined) this.dropped += lines
      if (this.#batch.length >= LINE_BATCH_BYTES || this.#emptied !== undefined) this.flush()
      else if (this.#batch !== '') this.#timer ??= setTimeout(this.#due, this.#delayMs)
      if (!this.#writing) this.#emptied?.()
    })
  }

  /** Resolves when all that was added is out, or dropped; after `graceMs` at the latest, when what is left is dropped. */
  async end(graceMs: number): Promise<void> {
    this.flush()
    if (!this.#writing) return
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(() => {
        this.dropped += this.#lines
        resolve()
      }, graceMs)
      this.#emptied = () => {
        clearTimeout(deadline)
        resolve()
      }
    })
  }

  readonly #due = (): void => {
    this.#timer = undefined
    this.flush()
  }
}
