/**
 * Walks a chunked body (RFC 9112 §7.1): tells data from framing and finds the end. Keeps none of its bytes. Strict, but for white space in the lines of chunks of a response,
 * with which embedded servers pad every size: that is named in `blanks`, and does not go on.
 */
import { CHUNK_LINE_BYTES } from '../limits.ts'
import { CR, HEX, HTAB, LF, NO_DIGIT, QUOTED, SP, TOKEN, VALUE } from './character-tables.ts'
import { type Rule, refuse, type Side } from './rules.ts'
import { TrailerScan } from './trailer-scan.ts'

type State =
  | 'size-first'
  | 'size'
  | 'size-end'
  | 'extension-name-first'
  | 'extension-name'
  | 'extension-name-end'
  | 'extension-value-first'
  | 'extension-value'
  | 'quoted'
  | 'quoted-pair'
  | 'quoted-end'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailer'
  | 'done'

const SEMICOLON = 0x3b
const EQUALS = 0x3d
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Where a blank leads that a response may have there ("bad" white space, RFC 9112 §7.1.1). */
const AFTER_BLANK: Partial<Record<State, State>> = {
  size: 'size-end',
  'size-end': 'size-end',
  'extension-name-first': 'extension-name-first',
  'extension-name': 'extension-name-end',
  'extension-name-end': 'extension-name-end',
  'extension-value-first': 'extension-value-first',
  'extension-value': 'quoted-end',
  'quoted-end': 'quoted-end',
}

/** Gets the spans of body bytes, synchronously, within `advance`. */
export type DataSpan = (buffer: Buffer, from: number, to: number) => void

export class ChunkedScan {
  readonly #side: Side
  /** What the latest `advance` read passes on as it is up to this index, */
  passTo = 0
  /** and then this: the trailer section, when it has ended and does not pass on as it is. */
  tail: Buffer | undefined
  /** Where runs of bytes begin and end that the latest `advance` read before `passTo` and that do not pass on: `[from, to, from, to, …]`. */
  readonly blanks: number[] = []
  readonly #data: DataSpan | undefined
  readonly #trailer: TrailerScan
  #state: State = 'size-first'
  /** While in data: what is left of the chunk. Before: its size so far. */
  #left = 0
  #lineBytes = 0
  /** Chunks so far, the one at hand included. */
  #chunks = 0
  #isBlank = false

  constructor(side: Side, data?: DataSpan) {
    this.#side = side
    this.#data = data
    this.#trailer = new TrailerScan(side)
  }

  start(): void {
    this.#chunks = 0
    this.#beginChunk()
    this.#trailer.start()
  }

  /** Lets go of the trailers. */
  release(): void {
    this.tail = undefined
    this.#trailer.start()
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  /** What has come of the trailer section, without the fields that may not stand there. It is whole when the body is. */
  get trailers(): Buffer {
    return this.#trailer.section
  }

  /** Index behind the body's last byte within [from, to), or `to` if it goes on. @throws TunnelFault */
  advance(buffer: Buffer, from: number, to: number): number {
    let at = from
    if (this.blanks.length > 0) this.blanks.length = 0
    let trailerAt = this.#state === 'trailer' ? from : -1
    while (at < to && this.#state !== 'done') {
      if (this.#state === 'data') {
        const end = Math.min(to, at + this.#left)
        this.#data?.(buffer, at, end)
        this.#left -= end - at
        at = end
        if (this.#left === 0) this.#state = 'data-cr'
      } else if (this.#state === 'trailer') {
        const begins = trailerAt === -1
        if (begins) trailerAt = at
        at = this.#trailer.advance(buffer, at, to)
        if (!this.#trailer.done) break
        this.#state = 'done'
        if (begins && !this.#trailer.dropped) trailerAt = -1
      } else {
        this.#state = this.#step(buffer[at++]!)
        if (this.#isBlank) {
          this.#isBlank = false
          const first = at - 1
          at = this.#skipBlanks(buffer, at, to)
          this.blanks.push(first, at)
        }
      }
    }
    this.passTo = trailerAt === -1 ? at : trailerAt
    this.tail = trailerAt !== -1 && this.#state === 'done' ? this.#trailer.section : undefined
    return at
  }

  /** Behind a blank the state stays the same for further ones. */
  #skipBlanks(buffer: Buffer, from: number, to: number): number {
    const limit = Math.min(to, from + CHUNK_LINE_BYTES - 2 - this.#lineBytes)
    let at = from
    while (at < limit && (buffer[at] === SP || buffer[at] === HTAB)) at++
    this.#lineBytes += at - from
    return at
  }

  #beginChunk(): State {
    this.#left = 0
    this.#lineBytes = 0
    this.#chunks++
    this.#state = 'size-first'
    return this.#state
  }

  #step(byte: number): State {
    switch (this.#state) {
      case 'data-cr':
        if (byte !== CR) this.#refuse(byte === LF ? 'line-bare-lf' : 'chunk-end')
        return 'data-lf'
      case 'data-lf':
        if (byte !== LF) this.#refuse('line-bare-cr')
        return this.#beginChunk()
      case 'size-lf':
        if (byte !== LF) this.#refuse('line-bare-cr')
        return this.#left === 0 ? 'trailer' : 'data'
      default:
        if (++this.#lineBytes > CHUNK_LINE_BYTES - 2 && byte !== CR) this.#refuse('chunk-line-bytes')
        return this.#inSizeLine(byte)
    }
  }

  #inSizeLine(byte: number): State {
    const state = this.#state
    if ((byte === SP || byte === HTAB) && this.#side === 'response' && AFTER_BLANK[state] !== undefined) {
      this.#isBlank = true
      return AFTER_BLANK[state]
    }
    switch (state) {
      case 'size-first':
      case 'size': {
        const digit = HEX[byte]!
        if (digit === NO_DIGIT) {
          if (state === 'size-first') this.#refuse(byte === LF ? 'line-bare-lf' : 'chunk-size')
          return this.#afterElement(byte, 'chunk-size')
        }
        this.#left = this.#left * 16 + digit
        if (this.#left > Number.MAX_SAFE_INTEGER) this.#refuse('chunk-size-huge')
        return 'size'
      }
      case 'size-end':
        return this.#afterElement(byte, 'chunk-size')
      case 'extension-name-first':
        if (TOKEN[byte] === 0) this.#refuseExtension(byte)
        return 'extension-name'
      case 'extension-name':
        if (TOKEN[byte] !== 0) return 'extension-name'
        return byte === EQUALS ? 'extension-value-first' : this.#afterElement(byte, 'chunk-extension')
      case 'extension-name-end':
        return byte === EQUALS ? 'extension-value-first' : this.#afterElement(byte, 'chunk-extension')
      case 'extension-value-first':
        if (byte === QUOTE) return 'quoted'
        if (TOKEN[byte] === 0) this.#refuseExtension(byte)
        return 'extension-value'
      case 'extension-value':
        return TOKEN[byte] !== 0 ? 'extension-value' : this.#afterElement(byte, 'chunk-extension')
      case 'quoted':
        if (byte === QUOTE) return 'quoted-end'
        if (byte === BACKSLASH) return 'quoted-pair'
        if (QUOTED[byte] === 0) this.#refuseExtension(byte)
        return 'quoted'
      case 'quoted-pair':
        if (VALUE[byte] === 0) this.#refuseExtension(byte)
        return 'quoted'
      default:
        return this.#afterElement(byte, 'chunk-extension')
    }
  }

  /** Behind the size, a name or a value. White space there is "bad" (RFC 9112 §7.1.1): parsers disagree on it, no visitor sends it, so that of a request is refused. */
  #afterElement(byte: number, rule: 'chunk-size' | 'chunk-extension'): State {
    if (byte === CR) return 'size-lf'
    if (byte === SEMICOLON) return 'extension-name-first'
    if (byte === LF) this.#refuse('line-bare-lf')
    this.#refuse(byte === SP || byte === HTAB ? 'chunk-space' : rule)
  }

  #refuse(rule: Rule): never {
    refuse(this.#side, rule, `in chunk ${this.#chunks} of the body`)
  }

  #refuseExtension(byte: number): never {
    this.#refuse(byte === LF ? 'line-bare-lf' : 'chunk-extension')
  }
}
