/** Writes a response head for the visitor (RFC 9110 §7.6): what belongs to the stream behind goes, ours is added. */
import { connectionNames } from './connection-options.ts'
import type { CookieFence } from './cookie-fence.ts'
import { DateLine } from './date-line.ts'
import { bits, FIELD } from './field-names.ts'
import { copyLines, REQUEST_ID, slab, writeAsSent, writeValue } from './head-writer.ts'
import type { ResponseHead } from './response-head.ts'

export interface ResponseForwarding {
  readonly visitorVersion: 10 | 11
  /** What the visitor's connection shall do after this message. Overruled to close where `keepsVisitor` says no. */
  readonly keepAlive: boolean
  readonly requestId: string
  /** The value of a Server-Timing field of our own, beside those of the local server; '' or undefined for none. */
  readonly serverTiming?: string | undefined
  readonly cookies?: CookieFence | undefined
  /** Gets the name of each cookie that is dropped. */
  readonly dropped?: { cookieDropped(name: string): void } | undefined
  /** Complete field lines (each ending in CRLF) to add; whoever gives them has validated them. */
  readonly extraLines?: string | undefined
  /** Lower-case names of fields that do not go on; whoever gives them has judged them. */
  readonly removed?: ReadonlySet<string> | undefined
  /** What becomes of values in which the local server names itself. */
  readonly mend?: ValueMending | undefined
  /** For another task of ours, which adds what is ours. */
  readonly passedOn?: boolean | undefined
}

export interface ValueMending {
  location(value: string): string
  cookie(value: string): string
}

/** Ours: a local server can neither name our faults nor another request id. */
const DROPPED = bits(FIELD.tunnelError, FIELD.requestId)
const SET_COOKIE = bits(FIELD.setCookie)
const NAMES_ITSELF = bits(FIELD.setCookie, FIELD.location)
const TRANSFER_ENCODING = bits(FIELD.transferEncoding)
const FRAMING = TRANSFER_ENCODING | bits(FIELD.contentLength)

const SERVER_TIMING = Buffer.from('\r\nServer-Timing: ')

/** One for the process, as the time is. The request id goes behind it. */
const date = new DateLine(() => Date.now(), REQUEST_ID.toString())
const DATE_LINE = /^date:/im

/** Offset of the reason in `HTTP/1.1 200 OK`. Nearer if the local server left out the space. */
const REASON_AT = 13
const UPGRADE_REQUIRED = 426

/** Whether the end of this response is visible to the visitor without closing. HTTP/1.0 knows no other mark of it than a length. */
export function keepsVisitor(head: ResponseHead, visitorVersion: 10 | 11): boolean {
  return visitorVersion === 11 || head.framing === 'length' || head.framing === 'none'
}

/** Whether the body must be written in chunks: its end is that of its connection, which a visitor could not tell from a cut. */
export function needsChunking(head: ResponseHead, visitorVersion: 10 | 11): boolean {
  return head.framing === 'close' && visitorVersion === 11
}

/** Whether the body must pass a `Dechunker`: chunked, and the visitor speaks HTTP/1.0 (RFC 9112 §7.1.3). */
export function needsDechunking(head: ResponseHead, visitorVersion: 10 | 11): boolean {
  return head.framing === 'chunked' && visitorVersion === 10
}

/** Bytes of a body that go with their head in one piece of memory. */
export interface BodySpan {
  readonly buffer: Buffer
  readonly from: number
  readonly to: number
}

/**
 * The head as it is sent on to the visitor, with the beginning of its body behind it, if given. An interim head is never for an
 * HTTP/1.0 visitor (RFC 9110 §15.2).
 */
export function writeResponseHead(head: ResponseHead, forwarding: ResponseForwarding, body?: BodySpan): Buffer {
  slab.begin()
  const dropped = DROPPED | unfitFraming(head, forwarding.visitorVersion)
  const { mend, removed } = forwarding
  const owned = mend === undefined ? SET_COOKIE : NAMES_ITSELF
  copyLines(head, statusLine(head), dropped, owned, mend === undefined ? writeCookie : writeMended, forwarding, removed)
  if (head.interim) slab.text('\r\n')
  else {
    if (needsChunking(head, forwarding.visitorVersion)) slab.text('Transfer-Encoding: chunked\r\n')
    if (!forwarding.passedOn) writeOurs(head, forwarding)
    slab.text(connectionLines(head, forwarding))
    if (forwarding.extraLines !== undefined) slab.text(forwarding.extraLines)
    slab.text('\r\n')
  }
  if (body !== undefined) slab.span(body.buffer, body.from, body.to)
  return slab.take()
}

/** Which request it answers, how long that took, and when, if nobody says so. No Via: RFC 9110 §7.6.3 leaves that to a gateway. */
function writeOurs(head: ResponseHead, forwarding: ResponseForwarding): void {
  const { requestId, serverTiming } = forwarding
  slab.bytes(head.status < 200 || isDated(head, forwarding) ? REQUEST_ID : date.bytes)
  slab.text(requestId)
  if (serverTiming) {
    slab.bytes(SERVER_TIMING)
    slab.text(serverTiming)
  }
  slab.text('\r\n')
}

/** RFC 9110 §6.6.1: a response is forwarded with the time at which it was received, if it says none itself. */
function isDated({ lines, namesFields }: ResponseHead, { removed, extraLines }: ResponseForwarding): boolean {
  const goes = removed?.has('date') === true || (namesFields && connectionNames(lines).has('date'))
  return (lines.has(FIELD.date) && !goes) || (extraLines !== undefined && DATE_LINE.test(extraLines))
}

/** Writes the status line if it must differ; answers where the run of bytes begins that may be copied. */
function statusLine(head: ResponseHead): number {
  const { lines } = head
  const { buffer, base } = lines
  if (head.version === 11 && head.reasonStart === REASON_AT) return base
  // Our own version, not the one we heard (RFC 9110 §2.5); an HTTP/1.0 visitor reads it as its own.
  slab.text(`HTTP/1.1 ${head.status} `)
  slab.span(buffer, base + head.reasonStart, base + head.reasonEnd)
  slab.text('\r\n')
  return lines.count > 0 ? lines.nameStart(0) : lines.end
}

function writeCookie(head: ResponseHead, index: number, { cookies, dropped }: ResponseForwarding): void {
  if (cookies === undefined || cookies.admits(head.lines.value(index))) writeAsSent(head, index)
  else dropped?.cookieDropped(cookieName(head.lines.value(index)))
}

/** The cookie fence judges what the visitor would get. */
function writeMended(head: ResponseHead, index: number, { cookies, dropped, mend }: ResponseForwarding): void {
  const value = head.lines.value(index)
  if (head.lines.id(index) === FIELD.location) return writeValue(head, index, mend!.location(value))
  const mended = mend!.cookie(value)
  if (cookies === undefined || cookies.admits(mended)) writeValue(head, index, mended)
  else dropped?.cookieDropped(cookieName(value))
}

/**
 * Neither framing field belongs into 1xx and 204 (RFC 9110 §8.6, RFC 9112 §6.1), nor a coding into HTTP/1.0. HEAD and 304 may
 * say what a GET would bring.
 */
function unfitFraming(head: ResponseHead, visitorVersion: 10 | 11): number {
  if (head.status < 200 || head.status === 204) return FRAMING
  return visitorVersion === 10 ? TRANSFER_ENCODING : 0
}

/** RFC 6265 §5.2: what stands before the first equals sign of the first pair. */
const cookieName = (setCookie: string): string => setCookie.split(/[=;]/, 1)[0]!.trim()

function connectionLines(head: ResponseHead, forwarding: ResponseForwarding): string {
  if (head.upgrade !== undefined) return `Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`
  const keep = forwarding.keepAlive && keepsVisitor(head, forwarding.visitorVersion)
  const offered = head.status === UPGRADE_REQUIRED ? head.lines.joined(FIELD.upgrade) : undefined
  if (offered !== undefined) return `Connection: ${keep ? '' : 'close, '}Upgrade\r\nUpgrade: ${offered}\r\n`
  if (!keep) return 'Connection: close\r\n'
  return forwarding.visitorVersion === 10 ? 'Connection: keep-alive\r\n' : ''
}
