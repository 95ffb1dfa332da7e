/**
 * The head of a response (RFC 9112 §4): status line read, fields judged against the request. As untrusted as a request, but tolerant of what can be understood in one
 * way only: LF for CRLF, white space before a colon, folded lines, control characters, framing that is said twice. Such a head is written anew in clean form before it is judged.
 */
import { TunnelFault } from '../fault.ts'
import { CONTROL, CR, LF, SP, VALUE } from './character-tables.ts'
import { cleanSection } from './clean-section.ts'
import { INCOMPLETE } from './field-lines.ts'
import { FIELD } from './field-names.ts'
import { CHUNKED, declaredLength, UNFRAMED } from './framing.ts'
import { HeadParser } from './head-parser.ts'
import { matchVersion, VERSION_BYTES } from './http-version.ts'
import { MessageHead } from './message-head.ts'
import { refuse } from './rules.ts'

const STATUS_DIGITS = 3
/** Offset of the reason in a status line in clean form. */
const REASON_AT = 'HTTP/1.1 200 '.length

export class ResponseHead extends MessageHead {
  status = 0
  /** 1xx other than 101: another head follows. */
  interim = false

  reasonStart = 0
  reasonEnd = 0

  get reason(): string {
    const { buffer, base } = this.lines
    return buffer.toString('latin1', base + this.reasonStart, base + this.reasonEnd)
  }

  /** `timeout` of the Keep-Alive field in milliseconds, if the local server names one (RFC 2068 §19.7.1.1). */
  get keepAliveTimeoutMs(): number | undefined {
    const seconds = /(?:^|,)[ \t]*timeout=(\d{1,9})[ \t]*(?:,|$)/i.exec(this.lines.joined(FIELD.keepAlive) ?? '')
    return seconds === null ? undefined : Number(seconds[1]) * 1000
  }

  /** RFC 9112 §6.3, in its order; `method` and `upgradeAsked` are the request's. @throws TunnelFault */
  judge(method: string, upgradeAsked: boolean): void {
    const { status } = this
    const grantsUpgrade = this.readConnection('response')
    const length = this.#declaredLength()
    this.contentLength = length >= 0 ? length : -1
    // RFC 9112 §6.1, §6.3: the coding counts; what follows may have been meant for a reader of the length, or of HTTP/1.0.
    if (length === CHUNKED && (this.lines.has(FIELD.contentLength) || this.version === 10)) this.keepAlive = false
    this.interim = status < 200 && status !== 101
    this.upgrade = undefined
    if (status === 101) {
      if (!upgradeAsked) refuse('response', 'upgrade-unasked')
      this.upgrade = grantsUpgrade ? this.readUpgrade() : undefined
      if (this.upgrade === undefined) refuse('response', 'upgrade-fields')
    }
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
      this.framing = 'none'
      // RFC 9110 §8.6: neither field belongs here. Who announces a body may send one, and it would be read as the next response.
      if (status === 204 && length !== UNFRAMED && length !== 0) this.keepAlive = false
    } else if (length === CHUNKED) this.framing = 'chunked'
    else if (length !== UNFRAMED) this.framing = 'length'
    else {
      this.framing = 'close'
      this.keepAlive = false
    }
  }

  /** 204 and 304 have no body, whatever the fields say: invalid ones are left out, and the connection is not used again. */
  #declaredLength(): number {
    try {
      return declaredLength(this.lines, this.version, 'response')
    } catch (error) {
      const hasNoBody = this.status === 204 || this.status === 304
      if (!hasNoBody || !(error instanceof TunnelFault)) throw error
      this.lines.judged = -1
      for (let i = 0; i < this.lines.count; i++) if (FRAMING_FIELDS.has(this.lines.id(i))) this.lines.leaveOut(i)
      this.keepAlive = false
      return UNFRAMED
    }
  }

  /** Makes it a head in clean form: that is what is judged, and what goes on. */
  clean(): void {
    const start = `HTTP/1.${this.version - 10} ${String(this.status).padStart(STATUS_DIGITS, '0')} ${this.reason}`
    const head = cleanSection(this.lines, `${start}\r\n`)
    this.reasonStart = REASON_AT
    this.reasonEnd = start.length
    this.lines.replaceBy(head, start.length + 2)
  }
}

const FRAMING_FIELDS: ReadonlySet<number> = new Set([FIELD.contentLength, FIELD.transferEncoding])

/** One per stream to a local server. Every fault is `origin-invalid`. */
export class ResponseHeadParser extends HeadParser<ResponseHead> {
  #method = 'GET'
  #upgradeAsked = false

  /** `added`: what a node may have put into a head that was within the limits. */
  constructor(added?: { bytes: number; fields: number }) {
    super('response', new ResponseHead(), added)
  }

  /** Names the request that the next heads answer: HEAD has no body, and 101 is granted only to who asked. */
  answer(method: string, upgradeAsked: boolean): void {
    this.#method = method
    this.#upgradeAsked = upgradeAsked
  }

  protected startLine(buffer: Buffer, from: number, limit: number): number {
    const version = matchVersion(buffer, from, limit, 'response', 'status-line')
    if (version === INCOMPLETE) return INCOMPLETE
    let at = from + VERSION_BYTES
    if (at >= limit) return INCOMPLETE
    if (buffer[at] !== SP) refuse('response', 'status-line')
    at++
    if (buffer[at] === SP) {
      while (at < limit && buffer[at] === SP) at++
      this.head.lines.odd = true
    }
    let status = 0
    for (let i = 0; i < STATUS_DIGITS; i++, at++) {
      if (at >= limit) return INCOMPLETE
      const digit = buffer[at]! - 0x30
      if (digit < 0 || digit > 9) refuse('response', 'status-line')
      status = status * 10 + digit
    }
    if (status < 100) refuse('response', 'status-code')
    if (at >= limit) return INCOMPLETE
    // The space belongs to the grammar even before an empty reason, but many servers leave it out, and nothing hangs on it.
    if (buffer[at] === SP) at++
    else if (buffer[at] !== CR && buffer[at] !== LF) refuse('response', 'status-line')
    const reasonStart = at
    while (at < limit && VALUE[buffer[at]!] === 1) at++
    const { head } = this
    if (at < limit && CONTROL[buffer[at]!] === 1) {
      while (at < limit && (VALUE[buffer[at]!] === 1 || CONTROL[buffer[at]!] === 1)) at++
      head.lines.odd = true
    }
    if (at >= limit) return INCOMPLETE
    const lineFeed = buffer[at] === LF
    if (!lineFeed) {
      if (buffer[at] !== CR) refuse('response', 'status-line')
      if (at + 1 >= limit) return INCOMPLETE
      if (buffer[at + 1] !== LF) refuse('response', 'line-bare-cr')
    } else head.lines.odd = true

    head.version = version
    head.status = status
    head.reasonStart = reasonStart - from
    head.reasonEnd = at - from
    return lineFeed ? at + 1 : at + 2
  }

  protected finish(): void {
    const { head } = this
    const { odd } = head.lines
    if (odd) head.clean()
    head.judge(this.#method, this.#upgradeAsked)
    // Another reader could part these lines in another way, and see a second response where this one has a body.
    if (odd) head.keepAlive = false
  }
}
