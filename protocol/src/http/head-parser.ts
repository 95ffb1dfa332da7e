/** Reads one head after another, resumable at any byte, in order of the bytes. Knows nothing of what start line it reads. */
import { TunnelFault } from '../fault.ts'
import { HEAD_BYTES, HEAD_FIELDS, RESPONSE_HEAD_BYTES, RESPONSE_HEAD_FIELDS } from '../limits.ts'
import { LF } from './character-tables.ts'
import { INCOMPLETE } from './field-lines.ts'
import type { MessageHead } from './message-head.ts'
import { inLine, refuse, type Side } from './rules.ts'

/**
 * Errors are found in the order of the bytes, syntax before meaning, so that the verdict does not depend on how the bytes
 * were cut into pieces. Lines that are whole are read once; of a line that is not, later calls look only at what is new
 * until its LF has come.
 */
export abstract class HeadParser<Head extends MessageHead> {
  protected readonly head: Head
  readonly #side: Side
  readonly #mostBytes: number
  /** Offset of the first line that is not read yet. */
  #line = 0
  /** Offset up to which that line is known to hold no LF. */
  #searched = 0
  #stage: 'start-line' | 'fields' | 'done' = 'start-line'

  /** `added`: what another task of ours may have put into a head that was within the limits. */
  constructor(side: Side, head: Head, added = { bytes: 0, fields: 0 }) {
    this.#side = side
    const isRequest = side === 'request'
    this.#mostBytes = (isRequest ? HEAD_BYTES : RESPONSE_HEAD_BYTES) + added.bytes
    this.head = head
    head.lines.most = (isRequest ? HEAD_FIELDS : RESPONSE_HEAD_FIELDS) + added.fields
  }

  /** Reads the start line at `at`. Answers the index behind it or `INCOMPLETE`. */
  protected abstract startLine(buffer: Buffer, at: number, limit: number): number
  /** The head is whole: judges what its fields mean. */
  protected abstract finish(): void

  /**
   * The head that begins at `from`, or undefined while it is incomplete: then call again with the same bytes at `from`
   * (in whichever buffer) and more behind them.
   */
  parse(buffer: Buffer, from: number, to: number): Head | undefined {
    if (this.#stage === 'done') this.#begin()
    const whole = to - from >= this.#mostBytes
    const limit = whole ? from + this.#mostBytes : to
    if (this.#searched > this.#line && !whole && !hasLineFeed(buffer, from + this.#searched, limit)) {
      this.#searched = to - from
      return undefined
    }

    const { lines } = this.head
    lines.buffer = buffer
    lines.base = from
    if (this.#side === 'request') return this.#read(buffer, from, to, limit)
    try {
      return this.#read(buffer, from, to, limit)
    } catch (error) {
      if (!(error instanceof TunnelFault)) throw error
      throw inLine(error, this.#faultyLine())
    }
  }

  /** The number of the line that broke a rule. */
  #faultyLine(): number {
    const { lines } = this.head
    switch (this.#stage) {
      case 'start-line':
        return 1
      case 'fields':
        return lines.linesUntil(lines.resumeAt)
      case 'done':
        return lines.judged < 0 ? 1 : lines.lineOf(lines.judged)
    }
  }

  #read(buffer: Buffer, from: number, to: number, limit: number): Head | undefined {
    const { lines } = this.head
    const whole = limit - from === this.#mostBytes
    if (this.#stage === 'start-line') {
      const end = this.startLine(buffer, from + this.#line, limit)
      if (end === INCOMPLETE) return this.#wait(from, to, whole)
      this.#line = end - from
      this.#stage = 'fields'
    }
    const end = lines.scan(buffer, from + this.#line, limit, this.#side)
    if (end === INCOMPLETE) {
      this.#line = lines.resumeAt - from
      return this.#wait(from, to, whole)
    }
    this.head.bytes = end - from
    this.#stage = 'done'
    this.finish()
    return this.head
  }

  /** Lets go of the buffer and of a head that is half read. */
  release(): void {
    this.#begin()
    this.head.lines.release()
  }

  #begin(): void {
    this.#line = 0
    this.#searched = 0
    this.#stage = 'start-line'
    this.head.lines.clear()
  }

  #wait(from: number, to: number, whole: boolean): undefined {
    if (whole) refuse(this.#side, this.#side === 'request' ? 'head-bytes' : 'response-head-bytes')
    this.#searched = to - from
  }
}

function hasLineFeed(buffer: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (buffer[i] === LF) return true
  return false
}
