/** Walks a trailer section (RFC 9112 §7.1.2) byte by byte, keeping nothing but the name at hand. Knows nothing of chunks. */
import { HEAD_FIELDS, TRAILER_BYTES } from '../limits.ts'
import { COLON, CR, HTAB, LF, SP, TOKEN, VALUE } from './character-tables.ts'
import { FIELD, fieldId, isLookAlike, LONGEST_NAME } from './field-names.ts'
import { refuse, type Side } from './rules.ts'

type State = 'line' | 'name' | 'value' | 'line-lf' | 'end-lf' | 'done'

export class TrailerScan {
  readonly #side: Side
  #state: State = 'line'
  #bytes = 0
  #fields = 0
  /** The first bytes of the name: as many as tell whether it is one of ours. */
  readonly #name = new Uint8Array(LONGEST_NAME)
  #nameLength = 0
  #kinds = 0

  constructor(side: Side) {
    this.#side = side
  }

  start(): void {
    this.#state = 'line'
    this.#bytes = 0
    this.#fields = 0
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  /** Index behind the section's last byte, or `to` if it goes on. */
  advance(buffer: Buffer, from: number, to: number): number {
    let at = from
    while (at < to && this.#state !== 'done') {
      this.#state = this.#step(buffer[at++]!)
      if (++this.#bytes > TRAILER_BYTES) refuse(this.#side, 'trailer-bytes')
    }
    return at
  }

  #step(byte: number): State {
    const side = this.#side
    switch (this.#state) {
      case 'line':
        this.#nameLength = 0
        this.#kinds = 0
        if (byte === CR) return 'end-lf'
        if (byte === LF) refuse(side, 'line-bare-lf')
        if (byte === SP || byte === HTAB) refuse(side, 'field-fold')
        if (++this.#fields > HEAD_FIELDS) refuse(side, 'trailer-fields')
        return this.#inName(byte)
      case 'name':
        return this.#inName(byte)
      case 'value':
        if (VALUE[byte] === 1) return 'value'
        if (byte === CR) return 'line-lf'
        refuse(side, byte === LF ? 'line-bare-lf' : 'field-value-control')
        break
      case 'line-lf':
        if (byte !== LF) refuse(side, 'line-bare-cr')
        return 'line'
      default:
        if (byte !== LF) refuse(side, 'line-bare-cr')
        return 'done'
    }
  }

  #inName(byte: number): State {
    const kind = TOKEN[byte]!
    if (kind !== 0) {
      if (this.#nameLength < LONGEST_NAME) this.#name[this.#nameLength++] = byte
      this.#kinds |= kind
      return 'name'
    }
    if (byte !== COLON || this.#nameLength === 0)
      refuse(this.#side, byte === SP || byte === HTAB ? 'field-name-space' : 'field-name-token')
    if (isLookAlike(this.#name, 0, this.#nameLength, this.#kinds)) refuse(this.#side, 'field-name-lookalike')
    if (fieldId(this.#name, 0, this.#nameLength) !== FIELD.other) refuse(this.#side, 'trailer-forbidden')
    return 'value'
  }
}
