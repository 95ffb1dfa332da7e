/**
 * Reads a trailer section (RFC 9112 §7.1.2) byte by byte, and keeps it without the fields that may not stand there. What a response's head may have, its
 * trailers may have too: they are kept in clean form.
 */
import { HEAD_FIELDS, TRAILER_BYTES } from '../limits.ts'
import { COLON, CONTROL, CR, HTAB, LF, SP, TOKEN, VALUE } from './character-tables.ts'
import { cleanSection } from './clean-section.ts'
import { FieldLines } from './field-lines.ts'
import { bits, FIELD, fieldId, LONGEST_NAME, lookAlikeOf } from './field-names.ts'
import { HeadCarry } from './head-carry.ts'
import { type Rule, refuse, type Side } from './rules.ts'

type State = 'line' | 'name' | 'name-end' | 'value' | 'line-lf' | 'end-lf' | 'done'

/** The other fields that this layer acts on are about framing, routing or the connection: too late here, or a lie (RFC 9110 §6.5.1). */
const MAY_STAND = bits(FIELD.other, FIELD.date)
const EMPTY_SECTION = Buffer.from('\r\n')

export class TrailerScan {
  /** What passes on differs from the section as it came. */
  changed = false
  /** Some line has a form that is tolerated in a response only. */
  odd = false
  readonly #side: Side
  #state: State = 'line'
  #bytes = 0
  #fields = 0
  #lines = 0
  /** The first bytes of the name: as many as tell whether it is one of ours. */
  readonly #name = new Uint8Array(LONGEST_NAME)
  #nameLength = 0
  #kinds = 0
  /** The line at hand is to be left out. */
  #drops = false
  /** The lines that stay, and what has come of the line at hand. */
  #kept: HeadCarry | undefined
  /** Bytes of the lines that stay. */
  #keptBytes = 0

  constructor(side: Side) {
    this.#side = side
  }

  start(): void {
    this.#state = 'line'
    this.#bytes = 0
    this.#fields = 0
    this.#lines = 0
    this.#kept = undefined
    this.#keptBytes = 0
    this.changed = false
    this.odd = false
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  /** What has come of the section, without the fields that were left out. Once it is done, it ends with the empty line. */
  get section(): Buffer {
    if (this.#kept !== undefined) return this.#kept.buffer.subarray(0, this.#kept.length)
    return this.done ? EMPTY_SECTION : EMPTY_SECTION.subarray(0, 0)
  }

  /** Index behind the section's last byte, or `to` if it goes on. */
  advance(buffer: Buffer, from: number, to: number): number {
    let at = from
    let line = from
    while (at < to && this.#state !== 'done') {
      this.#state = this.#step(buffer[at++]!)
      if (++this.#bytes > TRAILER_BYTES) this.#refuse('trailer-bytes')
      if (this.#state === 'line') {
        this.#endLine(buffer, line, at)
        line = at
      }
    }
    // Mostly the section is an empty line, and that in one piece.
    if (this.#kept !== undefined || !this.done) this.#keep(buffer, line, at)
    if (this.odd && this.done) this.#clean()
    return at
  }

  #endLine(buffer: Buffer, from: number, to: number): void {
    this.#keep(buffer, from, to)
    const kept = this.#kept!
    if (this.#drops) kept.length = this.#keptBytes
    this.#keptBytes = kept.length
    this.changed ||= this.#drops
  }

  #clean(): void {
    this.changed = true
    if (this.#kept === undefined) return
    const { buffer, length } = this.#kept
    const lines = new FieldLines()
    lines.buffer = buffer
    lines.scan(buffer, 0, length, this.#side)
    const clean = cleanSection(lines)
    // Clean form is longer, and the next reader has the same limit.
    if (clean.length > TRAILER_BYTES) this.#refuse('trailer-bytes')
    this.#kept.clear()
    this.#kept.append(clean, 0, clean.length)
  }

  #keep(buffer: Buffer, from: number, to: number): void {
    if (from === to) return
    this.#kept ??= new HeadCarry()
    this.#kept.append(buffer, from, to)
  }

  #step(byte: number): State {
    switch (this.#state) {
      case 'line':
        this.#lines++
        if (byte === CR) return 'end-lf'
        if (byte === LF) return this.#tolerate('line-bare-lf', 'done')
        if (isBlank(byte)) {
          if (this.#fields === 0) this.#refuse('field-fold')
          // A fold is kept or left out with its field.
          return this.#tolerate('field-fold', 'value')
        }
        this.#nameLength = 0
        this.#kinds = 0
        if (++this.#fields > HEAD_FIELDS) this.#refuse('trailer-fields')
        return this.#inName(byte)
      case 'name':
        return this.#inName(byte)
      case 'name-end':
        if (isBlank(byte)) return 'name-end'
        if (byte !== COLON) this.#refuse('field-name-space')
        return this.#endName()
      case 'value':
        if (VALUE[byte] === 1) return 'value'
        if (byte === CR) return 'line-lf'
        if (byte === LF) return this.#tolerate('line-bare-lf', 'line')
        if (CONTROL[byte] === 0) this.#refuse('field-value-control')
        return this.#tolerate('field-value-control', 'value')
      case 'line-lf':
        if (byte !== LF) this.#refuse('line-bare-cr')
        return 'line'
      default:
        if (byte !== LF) this.#refuse('line-bare-cr')
        return 'done'
    }
  }

  /** Only a request is refused for breaking this rule. */
  #tolerate(rule: Rule, next: State): State {
    if (this.#side === 'request') this.#refuse(rule)
    this.odd = true
    return next
  }

  #refuse(rule: Rule): never {
    refuse(this.#side, rule, `in line ${this.#lines} of the trailers`)
  }

  #inName(byte: number): State {
    const kind = TOKEN[byte]!
    if (kind !== 0) {
      if (this.#nameLength < LONGEST_NAME) this.#name[this.#nameLength++] = byte
      this.#kinds |= kind
      return 'name'
    }
    if (this.#nameLength > 0) {
      if (byte === COLON) return this.#endName()
      if (isBlank(byte)) return this.#tolerate('field-name-space', 'name-end')
    }
    this.#refuse('field-name-token')
  }

  #endName(): State {
    const id = fieldId(this.#name, 0, this.#nameLength)
    const alike = lookAlikeOf(this.#name, 0, this.#nameLength, this.#kinds)
    this.#drops = ((bits(id) | bits(alike)) & ~MAY_STAND) !== 0
    return 'value'
  }
}

const isBlank = (byte: number): boolean => byte === SP || byte === HTAB
