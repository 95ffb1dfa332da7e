/**
 * Walks a chunked body (RFC 9112 §7.1): tells data from framing and finds the end. Keeps none of its data. Strict with a request. A response may have LF for CRLF, white space
 * behind a size, with which embedded servers pad each of theirs, and extensions of any form: `changes` is what turns such a body into one in clean form.
 */
import { CHUNK_LINE_BYTES, RESPONSE_CHUNK_LINE_BYTES } from '../limits.ts'
import { CONTROL, CR, HEX, HTAB, LF, NO_DIGIT, QUOTED, SP, TOKEN, VALUE } from './character-tables.ts'
import { cleanExtensions } from './chunk-extension.ts'
import { type Rule, refuse, type Side } from './rules.ts'
import { TrailerScan } from './trailer-scan.ts'

type State =
  | 'size-first'
  | 'size'
  | 'size-end'
  | 'extension-name-first'
  | 'extension-name'
  | 'extension-value-first'
  | 'extension-value'
  | 'quoted'
  | 'quoted-pair'
  | 'quoted-end'
  | 'any-extension'
  | 'any-quoted'
  | 'any-quoted-pair'
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

/** A span of the bytes, and what passes on in its place. */
export interface Change {
  readonly from: number
  to: number
  readonly put: Buffer
}

const NOTHING = Buffer.alloc(0)
const MISSING_CR = Buffer.from('\r')

/** Gets the spans of body bytes, synchronously, within `advance`. */
export type DataSpan = (buffer: Buffer, from: number, to: number) => void

export class ChunkedScan {
  readonly #side: Side
  /** What the latest `advance` read passes on as it is up to this index, */
  passTo = 0
  /** and then this: the trailer section, when it has ended and does not pass on as it is. */
  tail: Buffer | undefined
  /** What of the bytes that the latest `advance` read before `passTo` does not pass on as it is, in order. */
  readonly changes: Change[] = []
  /** A line ends with LF alone, or the trailers are odd: another reader could find the end of this body elsewhere. */
  odd = false
  readonly #data: DataSpan | undefined
  readonly #trailer: TrailerScan
  #state: State = 'size-first'
  /** While in data: what is left of the chunk. Before: its size so far. */
  #left = 0
  #lineBytes = 0
  /** Chunks so far, the one at hand included. */
  #chunks = 0
  /** The byte that ended the latest data. */
  #lastData = 0
  /** In a response: the extensions of the line at hand. */
  #extensions = ''
  /** What `#step` found. NOTHING: leave out the byte at hand. Other bytes: put them before it. */
  #change: Buffer | undefined

  constructor(side: Side, data?: DataSpan) {
    this.#side = side
    this.#data = data
    this.#trailer = new TrailerScan(side)
  }

  start(): void {
    this.#chunks = 0
    this.odd = false
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
    if (this.changes.length > 0) this.changes.length = 0
    let trailerAt = this.#state === 'trailer' ? from : -1
    while (at < to && this.#state !== 'done') {
      if (this.#state === 'data') {
        const end = Math.min(to, at + this.#left)
        this.#data?.(buffer, at, end)
        this.#left -= end - at
        at = end
        if (this.#left === 0) {
          this.#state = 'data-cr'
          this.#lastData = buffer[end - 1]!
        }
      } else if (this.#state === 'trailer') {
        const begins = trailerAt === -1
        if (begins) trailerAt = at
        at = this.#trailer.advance(buffer, at, to)
        if (!this.#trailer.done) break
        this.#state = 'done'
        this.odd ||= this.#trailer.odd
        if (begins && !this.#trailer.changed) trailerAt = -1
      } else {
        this.#state = this.#step(buffer[at++]!)
        if (this.#change !== undefined) this.#noteChange(at - 1, this.#change)
      }
    }
    this.passTo = trailerAt === -1 ? at : trailerAt
    this.tail = trailerAt !== -1 && this.#state === 'done' ? this.#trailer.section : undefined
    return at
  }

  #noteChange(at: number, put: Buffer): void {
    this.#change = undefined
    if (put !== NOTHING) {
      this.changes.push({ from: at, to: at, put })
      return
    }
    const last = this.changes.at(-1)
    if (last?.to === at && last.put === NOTHING) last.to = at + 1
    else this.changes.push({ from: at, to: at + 1, put })
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
        if (byte === CR) return 'data-lf'
        if (byte !== LF) this.#refuse('chunk-end')
        // Either the size is one too large, or the data end with CR.
        if (this.#side === 'response' && this.#lastData === CR) this.#refuse('chunk-end')
        this.#takeLineFeed(MISSING_CR)
        return this.#beginChunk()
      case 'data-lf':
        if (byte !== LF) this.#refuse('line-bare-cr')
        return this.#beginChunk()
      case 'size-lf':
        if (byte !== LF) this.#refuse('line-bare-cr')
        return this.#left === 0 ? 'trailer' : 'data'
      default:
        if (++this.#lineBytes > CHUNK_LINE_BYTES - 2 && byte !== CR) this.#checkLine(byte)
        return this.#inSizeLine(byte)
    }
  }

  /** Digits of a size pass on as they are, so their limit is the same in a response. */
  #checkLine(byte: number): void {
    const inSize = this.#state === 'size-first' || this.#state === 'size'
    const goesOn = this.#side === 'response' && (!inSize || HEX[byte] === NO_DIGIT)
    if (!goesOn) this.#refuse('chunk-line-bytes')
    if (this.#lineBytes > RESPONSE_CHUNK_LINE_BYTES - 2 && byte !== LF) this.#refuse('response-chunk-line-bytes')
  }

  /** The line ends without CR; `put` passes on before its LF. */
  #takeLineFeed(put: Buffer): void {
    if (this.#side === 'request') this.#refuse('line-bare-lf')
    this.odd = true
    this.#change = put
  }

  #endLineByLineFeed(put: Buffer): State {
    this.#takeLineFeed(put)
    return this.#left === 0 ? 'trailer' : 'data'
  }

  #inSizeLine(byte: number): State {
    const state = this.#state
    switch (state) {
      case 'size-first':
      case 'size': {
        const digit = HEX[byte]!
        if (digit === NO_DIGIT) {
          if (state === 'size-first')
            this.#refuse(byte === LF && this.#side === 'request' ? 'line-bare-lf' : 'chunk-size')
          return byte === CR ? 'size-lf' : this.#afterSize(byte)
        }
        this.#left = this.#left * 16 + digit
        if (this.#left > Number.MAX_SAFE_INTEGER) this.#refuse('chunk-size-huge')
        return 'size'
      }
      case 'size-end':
        return this.#afterSize(byte)
      case 'extension-name-first':
        if (TOKEN[byte] === 0) this.#refuseExtension(byte)
        return 'extension-name'
      case 'extension-name':
        if (TOKEN[byte] !== 0) return 'extension-name'
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
      case 'any-extension':
        if (byte === CR || byte === LF) return this.#endExtensions(byte)
        return this.#extend(byte, byte === QUOTE ? 'any-quoted' : 'any-extension')
      case 'any-quoted':
        if (byte === QUOTE) return this.#extend(byte, 'any-extension')
        return this.#extend(byte, byte === BACKSLASH ? 'any-quoted-pair' : 'any-quoted')
      case 'any-quoted-pair':
        return this.#extend(byte, 'any-quoted')
      default:
        return this.#afterElement(byte, 'chunk-extension')
    }
  }

  #afterSize(byte: number): State {
    if (this.#side === 'request') return this.#afterElement(byte, 'chunk-size')
    switch (byte) {
      case SP:
      case HTAB:
        this.#change = NOTHING
        return 'size-end'
      case SEMICOLON:
        this.#extensions = ''
        return this.#extend(byte, 'any-extension')
      case LF:
        return this.#endLineByLineFeed(MISSING_CR)
      case CR:
        return 'size-lf'
      default:
        this.#refuse('chunk-size')
    }
  }

  /** Behind the size, a name or a value, in a request. White space there is "bad" (RFC 9112 §7.1.1): parsers disagree on it, and no visitor sends it. */
  #afterElement(byte: number, rule: 'chunk-size' | 'chunk-extension'): State {
    if (byte === CR) return 'size-lf'
    if (byte === SEMICOLON) return 'extension-name-first'
    if (byte === LF) this.#refuse('line-bare-lf')
    this.#refuse(byte === SP || byte === HTAB ? 'chunk-space' : rule)
  }

  /** Takes a byte of the extensions of a response. They pass on at the end of their line, if they are well-formed and the line is not long. */
  #extend(byte: number, next: State): State {
    // Readers disagree on whether a line ends within quotes.
    if (VALUE[byte] === 0 && CONTROL[byte] === 0) this.#refuse('chunk-extension')
    if (this.#lineBytes < CHUNK_LINE_BYTES) this.#extensions += String.fromCharCode(byte)
    this.#change = NOTHING
    return next
  }

  #endExtensions(byte: number): State {
    const kept = this.#lineBytes < CHUNK_LINE_BYTES ? cleanExtensions(this.#extensions) : ''
    if (byte === LF) return this.#endLineByLineFeed(Buffer.from(`${kept}\r`, 'latin1'))
    if (kept !== '') this.#change = Buffer.from(kept, 'latin1')
    return 'size-lf'
  }

  #refuse(rule: Rule): never {
    refuse(this.#side, rule, `in chunk ${this.#chunks} of the body`)
  }

  #refuseExtension(byte: number): never {
    this.#refuse(byte === LF ? 'line-bare-lf' : 'chunk-extension')
  }
}
