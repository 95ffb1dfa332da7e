/** What the heads of requests and responses share. Fields stay spans of the buffer; strings are made when asked for. */

import { HTAB, SP, TOKEN } from './character-tables.ts'
import {
  connectionOptions,
  OPTION_CLOSE,
  OPTION_KEEP_ALIVE,
  OPTION_NAMES,
  OPTION_UPGRADE,
} from './connection-options.ts'
import { FieldLines } from './field-lines.ts'
import { FIELD } from './field-names.ts'
import type { BodyFraming } from './framing.ts'
import type { Side } from './rules.ts'

/**
 * A head belongs to its parser and reads the buffer it was parsed from: it holds until the parser is given the next message
 * or is released.
 */
export abstract class MessageHead {
  /** The field section, for those that copy it. */
  readonly lines = new FieldLines()
  /** Bytes of the head in the buffer, the empty line (and one leading empty line, if there was one) included. */
  bytes = 0
  version: 10 | 11 = 11
  framing: BodyFraming = 'none'
  /** The value of Content-Length; −1 without that field. Of a response without body it says what a GET would bring. */
  contentLength = -1
  /** Whether the sender is ready for another message on this connection; a `close` framing is not. */
  keepAlive = true
  /** The value of Upgrade: of a valid upgrade request, or of the 101 that grants one. */
  upgrade: string | undefined = undefined
  /** Whether Connection names fields that end here (RFC 9110 §7.6.1). */
  namesFields = false

  get fieldCount(): number {
    return this.lines.count
  }

  fieldName(index: number): string {
    return this.lines.name(index)
  }

  fieldValue(index: number): string {
    return this.lines.value(index)
  }

  /** The value of a field, in any case; several field lines joined by `, ` (RFC 9110 §5.3), which is wrong for Set-Cookie. */
  field(name: string): string | undefined {
    const values = this.lines.valuesOf(name)
    return values.length === 0 ? undefined : values.join(', ')
  }

  /** Every value of a field, in order. */
  fieldValues(name: string): string[] {
    return this.lines.valuesOf(name)
  }

  /** Reads Connection: sets `keepAlive` and `namesFields`, answers whether it asks for or grants an upgrade. */
  protected readConnection(side: Side): boolean {
    const options = connectionOptions(this.lines, side)
    // RFC 9112 §9.3: close wins; 1.1 persists unless told otherwise, 1.0 only if told so.
    if ((options & OPTION_CLOSE) !== 0) this.keepAlive = false
    else this.keepAlive = this.version === 11 || (options & OPTION_KEEP_ALIVE) !== 0
    this.namesFields = (options & OPTION_NAMES) !== 0
    return (options & OPTION_UPGRADE) !== 0
  }

  /** The value of Upgrade if every element is `name` or `name/version` (RFC 9110 §7.8), otherwise undefined. */
  protected readUpgrade(): string | undefined {
    const value = this.lines.joined(FIELD.upgrade)
    return value !== undefined && isProtocolList(value) ? value : undefined
  }
}

const SLASH = 0x2f
const COMMA = 0x2c

function isProtocolList(value: string): boolean {
  let at = 0
  let protocols = 0
  const token = (): boolean => {
    const start = at
    while (at < value.length && TOKEN[value.charCodeAt(at)] !== 0) at++
    return at > start
  }
  const skip = (): void => {
    while (at < value.length && (value.charCodeAt(at) === SP || value.charCodeAt(at) === HTAB)) at++
  }
  while (at < value.length) {
    if (!token()) return false
    if (value.charCodeAt(at) === SLASH) {
      at++
      if (!token()) return false
    }
    protocols++
    skip()
    if (at < value.length && value.charCodeAt(at) !== COMMA) return false
    at++
    skip()
  }
  return protocols > 0
}
