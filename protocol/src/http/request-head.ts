/** The head of a request (RFC 9112 §3): request line read, fields judged. Knows nothing of tunnels and of forwarding. */
import { MOST_FORWARDS, TARGET_BYTES } from '../limits.ts'
import { hostEnd, withoutDefaultPort } from './authority.ts'
import { CR, LF, LOWER, SP, TARGET, TARGET_PLAIN, TOKEN } from './character-tables.ts'
import { INCOMPLETE } from './field-lines.ts'
import { FIELD, spells } from './field-names.ts'
import { CHUNKED, declaredLength, UNFRAMED } from './framing.ts'
import { HeadParser } from './head-parser.ts'
import { matchVersion, VERSION_BYTES } from './http-version.ts'
import { MessageHead } from './message-head.ts'
import { methodAt, methodIsIdempotent, methodIsSafe } from './methods.ts'
import { checkUtf8, percentEncoded, rawTargetEnd } from './raw-target.ts'
import { refuse } from './rules.ts'

const SLASH = 0x2f
const ASTERISK = 0x2a
const QUESTION = 0x3f
const HTTP_SCHEME = Buffer.from('http://')
const HTTPS_SCHEME = Buffer.from('https://')
/** `h2c`, its drafts, and `HTTP` and `TLS` of any version. */
const HTTP_ITSELF = /(?:^|,)[ \t]*(?:h2|(?:http|tls)[ \t]*(?:[/,]|$))/i
const CONTINUE = Buffer.from('100-continue')

export class RequestHead extends MessageHead {
  method = ''
  /** Lower-case authority of Host, port included; '' if Host is empty, or absent from an HTTP/1.0 request. */
  host = ''
  /** `host` without its port. */
  hostname = ''
  /** HTTP/1.1 and `Expect: 100-continue`. */
  expectContinue = false

  /** Offset of the request line: 2 behind a leading empty line, otherwise 0. */
  lineStart = 0
  targetStart = 0
  targetEnd = 0
  /** Where the path begins in the target: behind the authority in absolute-form. */
  pathStart = 0
  /** The target has raw UTF-8: it is passed on percent-encoded. */
  rawTarget = false
  /** Host as it was last sent, which is nearly always how it is sent next time. */
  #sentHost = ''

  /** The request target as it was sent; each character is a byte. */
  get target(): string {
    return this.#text(this.targetStart, this.targetEnd)
  }

  /** The target in origin-form (or `*`): what is sent on. */
  get path(): string {
    const text = this.#text(this.pathStart, this.targetEnd)
    return this.impliedPath + (this.rawTarget ? percentEncoded(text) : text)
  }

  /** Where `path` stands in bytes: [pathFrom, pathTo) of this buffer. Undefined if it was not sent as that. */
  get pathBuffer(): Buffer | undefined {
    return this.pathStart === this.targetStart && !this.rawTarget ? this.lines.buffer : undefined
  }

  get pathFrom(): number {
    return this.lines.base + this.pathStart
  }

  get pathTo(): number {
    return this.lines.base + this.targetEnd
  }

  /** What an absolute-form target leaves out before its query or its end (RFC 9112 §3.2.1, §3.2.4). */
  get impliedPath(): '' | '/' | '*' {
    if (this.pathStart === this.targetStart) return ''
    if (this.pathStart === this.targetEnd) return this.method === 'OPTIONS' ? '*' : '/'
    return this.lines.buffer[this.lines.base + this.pathStart] === SLASH ? '' : '/'
  }

  /** RFC 9110 §9.2.1. Unknown methods are neither. */
  get safe(): boolean {
    return methodIsSafe(this.method)
  }

  /** RFC 9110 §9.2.2. */
  get idempotent(): boolean {
    return methodIsIdempotent(this.method)
  }

  /** How often it may be passed on (RFC 9110 §7.6.2), at most MOST_FORWARDS; undefined where nothing limits that. */
  get maxForwards(): number | undefined {
    if (!this.lines.has(FIELD.maxForwards) || (this.method !== 'OPTIONS' && this.method !== 'TRACE')) return undefined
    const text = this.lines.joined(FIELD.maxForwards) ?? ''
    return /^\d+$/.test(text) ? Math.min(Number(text), MOST_FORWARDS) : undefined
  }

  /** Judges the fields of a whole head. @throws TunnelFault */
  judge(): void {
    const wantsUpgrade = this.readConnection('request')
    const length = declaredLength(this.lines, this.version, 'request')
    this.contentLength = length >= 0 ? length : -1
    this.framing = length === UNFRAMED ? 'none' : length === CHUNKED ? 'chunked' : 'length'
    this.#judgeTarget(this.#readHost())
    // RFC 9110 §7.8 and §10.1.1: a 1.0 request can ask for neither.
    this.upgrade = wantsUpgrade && this.version === 11 ? this.#upgradeAsked() : undefined
    this.expectContinue = this.version === 11 && this.lines.has(FIELD.expect) && this.#expectsContinue()
  }

  /** Index of the Host line, or −1 if an HTTP/1.0 request has none. */
  #readHost(): number {
    const { lines } = this
    if (!lines.has(FIELD.host)) {
      if (this.version === 11) refuse('request', 'host-missing')
      this.host = this.hostname = ''
      return -1
    }
    let found = -1
    for (let i = 0; i < lines.count; i++) {
      if (lines.id(i) !== FIELD.host) continue
      if (found !== -1) refuse('request', 'host-repeated')
      found = i
    }
    this.#setHost(lines.valueStart(found), lines.valueEnd(found))
    return found
  }

  #setHost(start: number, end: number): void {
    const { buffer } = this.lines
    if (isText(buffer, start, end, this.#sentHost) && this.host.length === end - start) return
    const nameEnd = hostEnd(buffer, start, end)
    this.#sentHost = buffer.toString('latin1', start, end)
    this.host = this.#sentHost.toLowerCase()
    this.hostname = this.host.slice(0, nameEnd - start)
  }

  /** RFC 9112 §3.2: which form the target has; sets where its path begins. `hostLine` is −1 without a Host. */
  #judgeTarget(hostLine: number): void {
    const { buffer, base } = this.lines
    const start = base + this.targetStart
    const end = base + this.targetEnd
    this.pathStart = this.targetStart
    if (buffer[start] === SLASH) return
    if (buffer[start] === ASTERISK) {
      if (end - start !== 1 || this.method !== 'OPTIONS') refuse('request', 'target-form')
      return
    }
    const scheme = schemeAt(buffer, start, end)
    if (scheme === undefined) refuse('request', 'target-form')
    const authority = start + scheme.length + '://'.length
    let authorityEnd = authority
    while (authorityEnd < end && buffer[authorityEnd] !== SLASH && buffer[authorityEnd] !== QUESTION) authorityEnd++
    if (authorityEnd === authority) refuse('request', 'target-form')
    if (hostLine === -1) this.#setHost(authority, authorityEnd)
    else {
      hostEnd(buffer, authority, authorityEnd)
      const named = buffer.toString('latin1', authority, authorityEnd).toLowerCase()
      if (named !== this.host && withoutDefaultPort(named, scheme) !== withoutDefaultPort(this.host, scheme))
        refuse('request', 'host-differs')
    }
    this.pathStart = authorityEnd - base
  }

  /**
   * An upgrade to HTTP itself, or to TLS with HTTP inside (RFC 2817), is never passed on: behind it came requests that nobody reads on the way, with fields of their own about
   * who visits. RFC 9110 §7.8 leaves a server free to ignore it, and RFC 9113 §3.1 has withdrawn it.
   */
  #upgradeAsked(): string | undefined {
    const upgrade = this.readUpgrade()
    return upgrade !== undefined && HTTP_ITSELF.test(upgrade) ? undefined : upgrade
  }

  #expectsContinue(): boolean {
    const { lines } = this
    for (let i = 0; i < lines.count; i++) {
      if (lines.id(i) !== FIELD.expect) continue
      const start = lines.valueStart(i)
      if (lines.valueEnd(i) - start === CONTINUE.length && spells(lines.buffer, start, CONTINUE)) return true
    }
    return false
  }

  #text(start: number, end: number): string {
    const { buffer, base } = this.lines
    return buffer.toString('latin1', base + start, base + end)
  }
}

function schemeAt(buffer: Buffer, start: number, end: number): 'http' | 'https' | undefined {
  const begins = (scheme: Buffer): boolean => end - start > scheme.length && spellsScheme(buffer, start, scheme)
  return begins(HTTP_SCHEME) ? 'http' : begins(HTTPS_SCHEME) ? 'https' : undefined
}

/** Letters in any case; the rest must be equal, since adding the case bit would make other bytes look like `:` and `/`. */
function spellsScheme(buffer: Buffer, start: number, scheme: Buffer): boolean {
  for (let i = 0; i < scheme.length; i++) {
    const wanted = scheme[i]!
    const byte = buffer[start + i]!
    if (byte !== wanted && (wanted < 0x61 || (byte | LOWER) !== wanted)) return false
  }
  return true
}

function isText(buffer: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false
  for (let i = 0; i < text.length; i++) if (buffer[start + i] !== text.charCodeAt(i)) return false
  return true
}

/** One per visitor connection. Faults: those of `RULES`, by their own codes. */
export class RequestHeadParser extends HeadParser<RequestHead> {
  constructor(added?: { bytes: number; fields: number }) {
    super('request', new RequestHead(), added)
  }

  protected startLine(buffer: Buffer, from: number, limit: number): number {
    let at = from
    // RFC 9112 §2.2: one empty line before a request is forgiven, since old clients send it after a POST.
    if (buffer[at] === CR && at < limit) {
      if (at + 1 >= limit) return INCOMPLETE
      if (buffer[at + 1] !== LF) refuse('request', 'line-bare-cr')
      at += 2
    }
    const { head } = this
    const lineStart = at
    while (at < limit && TOKEN[buffer[at]!] !== 0) at++
    if (at >= limit) return INCOMPLETE
    if (at === lineStart || buffer[at] !== SP) refuse('request', 'method-token')
    const method = methodAt(buffer, lineStart, at)
    if (method === 'CONNECT') refuse('request', 'method-connect')

    const targetStart = at + 1
    const targetLimit = targetStart + TARGET_BYTES
    at = targetStart
    while (at < limit && TARGET[buffer[at]!] === TARGET_PLAIN) if (++at > targetLimit) refuse('request', 'target-bytes')
    const raw = at < limit && TARGET[buffer[at]!] !== 0
    if (raw) at = rawTargetEnd(buffer, targetStart, at, limit)
    if (at >= limit) return INCOMPLETE
    if (buffer[at] !== SP) refuse('request', lineEnds(buffer[at]!) ? 'request-line' : 'target-character')
    if (at === targetStart) refuse('request', 'request-line')
    if (raw) checkUtf8(buffer, targetStart, at)
    const targetEnd = at

    const version = matchVersion(buffer, at + 1, limit, 'request', 'version-syntax')
    if (version === INCOMPLETE) return INCOMPLETE
    at += 1 + VERSION_BYTES
    if (at >= limit) return INCOMPLETE
    if (buffer[at] !== CR) refuse('request', buffer[at] === LF ? 'line-bare-lf' : 'request-line')
    if (at + 1 >= limit) return INCOMPLETE
    if (buffer[at + 1] !== LF) refuse('request', 'line-bare-cr')

    head.method = method
    head.version = version
    head.lineStart = lineStart - from
    head.targetStart = targetStart - from
    head.targetEnd = targetEnd - from
    head.rawTarget = raw
    return at + 2
  }

  protected finish(): void {
    this.head.judge()
  }
}

const lineEnds = (byte: number): boolean => byte === CR || byte === LF
