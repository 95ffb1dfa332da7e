/**
 * The field lines of one head, as spans into its buffer (RFC 9112 §5). Checks their syntax; knows nothing of their meaning. Those of a response may have LF for CRLF,
 * white space before the colon, folds, and control characters in values: such a section is written anew before anything reads it.
 */
import { HEAD_FIELDS } from '../limits.ts'
import { COLON, CONTROL, CR, HTAB, LF, SP, TOKEN, VALUE } from './character-tables.ts'
import { bits, FIELD, type FieldId, fieldId, lookAlikeOf } from './field-names.ts'
import { refuse, type Side } from './rules.ts'

/** Of each line: name start, name end, value start, value end, id and shape. */
const STRIDE = 5
const NAME_END = 1
const VALUE_START = 2
const VALUE_END = 3
const ID = 4

/** Set beside the id if the line already is `name: value CRLF`, so that it may be copied as it stands. */
const CANONICAL = 0x100
const ID_MASK = 0xff

/** Most heads have fewer; the few that have more grow theirs. */
const FIRST_CAPACITY = 16

/** What `scan` answers besides the offset behind the line. */
export const INCOMPLETE = -1

const EMPTY = Buffer.alloc(0)

/** Where a message ends and who it is for: a second field of these is never left to chance. */
const DECIDE = bits(FIELD.host, FIELD.contentLength, FIELD.transferEncoding)

export class FieldLines {
  count = 0
  /** The bytes that the offsets are relative to: `buffer` from `base` on. */
  buffer: Buffer = EMPTY
  base = 0
  /** Bit i is set if some line has the id i. */
  present = 0
  /** More of them are refused. */
  most = HEAD_FIELDS
  /** Some line has a form that is only tolerated. */
  odd = false
  /** The line that is being judged; −1: none. */
  judged = -1
  /** Where each line stood, if the section was written anew. */
  #numbers: number[] | undefined
  #spans = new Uint32Array(FIRST_CAPACITY * STRIDE)

  clear(): void {
    this.count = 0
    this.present = 0
    this.odd = false
    this.judged = -1
    this.#numbers = undefined
  }

  /** Drops the buffer, so that an idle connection holds none. */
  release(): void {
    this.clear()
    this.buffer = EMPTY
    this.base = 0
  }

  /**
   * Reads lines from `at` on. Answers the index behind the empty line that ends the section, or `INCOMPLETE`; `resumeAt` is
   * then where the first line that is not whole begins, and otherwise where the empty line begins.
   */
  scan(buffer: Buffer, at: number, limit: number, side: Side): number {
    const base = this.base
    for (;;) {
      this.resumeAt = at
      if (at >= limit) return INCOMPLETE

      const nameStart = at
      let kinds = 0
      while (at < limit) {
        const kind = TOKEN[buffer[at]!]!
        if (kind === 0) break
        kinds |= kind
        at++
      }
      if (at >= limit) return INCOMPLETE
      const nameEnd = at
      let fold = false
      if (buffer[at] !== COLON || nameEnd === nameStart) {
        if (nameEnd === nameStart && buffer[at] === CR) {
          if (at + 1 >= limit) return INCOMPLETE
          if (buffer[at + 1] !== LF) refuse(side, 'line-bare-cr')
          return at + 2
        }
        if (side === 'request') refuseName(buffer[at]!, nameEnd === nameStart, side)
        if (nameEnd === nameStart && buffer[at] === LF) {
          this.odd = true
          return at + 1
        }
        while (at < limit && isBlank(buffer[at]!)) at++
        if (at >= limit) return INCOMPLETE
        fold = nameEnd === nameStart && at > nameStart && this.count > 0
        if (!fold && (buffer[at] !== COLON || nameEnd === nameStart))
          refuseName(buffer[nameEnd]!, nameEnd === nameStart, side)
      }

      if (!fold) at++
      while (at < limit && isBlank(buffer[at]!)) at++
      const valueStart = at
      while (at < limit && VALUE[buffer[at]!] === 1) at++
      if (at >= limit) return INCOMPLETE
      let hasControls = false
      if (buffer[at] !== CR && CONTROL[buffer[at]!] === 1 && side === 'response') {
        hasControls = true
        while (at < limit && (VALUE[buffer[at]!] === 1 || CONTROL[buffer[at]!] === 1)) at++
        if (at >= limit) return INCOMPLETE
      }
      const lineFeed = buffer[at] === LF
      if (lineFeed && side === 'request') refuse(side, 'line-bare-lf')
      if (!lineFeed) {
        if (buffer[at] !== CR) refuse(side, 'field-value-control')
        if (at + 1 >= limit) return INCOMPLETE
        if (buffer[at + 1] !== LF) refuse(side, 'line-bare-cr')
      }

      let valueEnd = at
      while (valueEnd > valueStart && isBlank(buffer[valueEnd - 1]!)) valueEnd--
      const next = lineFeed ? at + 1 : at + 2
      if (fold) {
        if (hasControls) this.#takeControls(this.id(this.count - 1))
        this.#extend(valueEnd - base)
        at = next
        continue
      }
      const alike = lookAlikeOf(buffer, nameStart, nameEnd, kinds)
      if ((DECIDE & (1 << alike)) !== 0) refuse(side, 'field-name-lookalike')
      const id = alike === FIELD.other ? fieldId(buffer, nameStart, nameEnd) : FIELD.lookAlike
      const canonical = valueStart === nameEnd + 2 && buffer[nameEnd + 1] === SP && valueEnd === at
      if (hasControls) this.#takeControls(id)
      if (lineFeed || buffer[nameEnd] !== COLON) this.odd = true
      this.#add(nameStart - base, nameEnd - base, valueStart - base, valueEnd - base, id | (canonical ? CANONICAL : 0))
      if (this.count > this.most) refuse(side, side === 'request' ? 'head-fields' : 'response-head-fields')
      at = next
    }
  }

  resumeAt = 0

  /** Where the empty line behind the lines begins, after a complete `scan`. */
  get end(): number {
    return this.resumeAt
  }

  /** Readers disagree on which control characters count as white space around a length, so that field may have none. */
  #takeControls(id: FieldId): void {
    if ((DECIDE & (1 << id)) !== 0) refuse('response', 'field-value-control')
    this.odd = true
  }

  /** Reads the clean section in place of the lines that it was made of, which keep their numbers; `from` is where its field lines begin. */
  replaceBy(clean: Buffer, from: number): void {
    const numbers = this.#lineNumbers()
    this.clear()
    this.buffer = clean
    this.base = 0
    this.scan(clean, from, clean.length, 'response')
    this.#numbers = numbers
  }

  /** Of all lines, in one pass. */
  #lineNumbers(): number[] {
    const numbers: number[] = []
    let number = 1
    let at = this.base
    for (let i = 0; i < this.count; i++) {
      for (const start = this.nameStart(i); at < start; at++) if (this.buffer[at] === LF) number++
      numbers.push(number)
    }
    return numbers
  }

  /** The number of a field's line in its head, whose first line is the start line. */
  lineOf(index: number): number {
    return this.#numbers?.[index] ?? this.linesUntil(this.nameStart(index))
  }

  /** The number of the line that stands at `at`. */
  linesUntil(at: number): number {
    let number = 1
    for (let i = this.base; i < at; i++) if (this.buffer[i] === LF) number++
    return number
  }

  /** The latest line goes on to there: a fold. */
  #extend(valueEnd: number): void {
    this.odd = true
    const at = (this.count - 1) * STRIDE
    if (valueEnd > this.#spans[at + VALUE_END]!) this.#spans[at + VALUE_END] = valueEnd
    this.respell(this.count - 1)
  }

  #add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, id: number): void {
    const at = this.count * STRIDE
    if (at === this.#spans.length) {
      const grown = new Uint32Array(at * 2)
      grown.set(this.#spans)
      this.#spans = grown
    }
    const spans = this.#spans
    spans[at] = nameStart
    spans[at + NAME_END] = nameEnd
    spans[at + VALUE_START] = valueStart
    spans[at + VALUE_END] = valueEnd
    spans[at + ID] = id
    this.present |= 1 << (id & ID_MASK)
    this.count++
  }

  /** Indices into `buffer` from here on. */
  nameStart(index: number): number {
    return this.base + this.#spans[index * STRIDE]!
  }
  nameEnd(index: number): number {
    return this.base + this.#spans[index * STRIDE + NAME_END]!
  }
  valueStart(index: number): number {
    return this.base + this.#spans[index * STRIDE + VALUE_START]!
  }
  valueEnd(index: number): number {
    return this.base + this.#spans[index * STRIDE + VALUE_END]!
  }
  id(index: number): FieldId {
    return (this.#spans[index * STRIDE + ID]! & ID_MASK) as FieldId
  }
  /** Whether the line may be copied as it stands. */
  canonical(index: number): boolean {
    return (this.#spans[index * STRIDE + ID]! & CANONICAL) !== 0
  }
  /** The value means what it means, but is to be spelled otherwise. */
  respell(index: number): void {
    this.#spans[index * STRIDE + ID]! &= ID_MASK
  }
  /** The line repeats another, and does not go on. */
  leaveOut(index: number): void {
    this.#spans[index * STRIDE + ID] = FIELD.leftOut
  }
  has(id: FieldId): boolean {
    return (this.present & (1 << id)) !== 0
  }

  /** White space behind a value may hold tabs (RFC 9110 §5.6.3), but not every server knows a word that one follows. */
  endsInTab(index: number): boolean {
    let at = this.valueEnd(index)
    while (this.buffer[at] === SP) at++
    return this.buffer[at] === HTAB
  }

  name(index: number): string {
    return this.buffer.toString('latin1', this.nameStart(index), this.nameEnd(index))
  }
  value(index: number): string {
    return this.buffer.toString('latin1', this.valueStart(index), this.valueEnd(index))
  }

  /** The values of every line with that id, joined as RFC 9110 §5.3 allows; empty ones count for nothing. */
  joined(id: FieldId): string | undefined {
    if (!this.has(id)) return undefined
    let text: string | undefined
    for (let i = 0; i < this.count; i++) {
      if (this.id(i) !== id || this.valueStart(i) === this.valueEnd(i)) continue
      text = text === undefined ? this.value(i) : `${text}, ${this.value(i)}`
    }
    return text
  }

  /** Every value of the field `name`, in any case, in order. */
  valuesOf(name: string): string[] {
    const wanted = name.toLowerCase()
    const values: string[] = []
    for (let i = 0; i < this.count; i++) {
      if (this.nameEnd(i) - this.nameStart(i) === wanted.length && this.name(i).toLowerCase() === wanted)
        values.push(this.value(i))
    }
    return values
  }
}

const isBlank = (byte: number): boolean => byte === SP || byte === HTAB

/** Names the rule that a line broke which is neither empty nor `name:`. */
function refuseName(byte: number, atStart: boolean, side: Side): never {
  if (byte === SP || byte === HTAB) refuse(side, atStart ? 'field-fold' : 'field-name-space')
  if (byte === LF) refuse(side, atStart ? 'line-bare-lf' : 'field-name-token')
  refuse(side, 'field-name-token')
}
