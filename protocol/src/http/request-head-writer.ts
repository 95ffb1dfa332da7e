/** Writes a request head for the local server (RFC 9110 §7.6): what belongs to the visitor's connection goes, ours is added. */
import { withoutCookies } from './cookie-pairs.ts'
import { bits, FIELD } from './field-names.ts'
import type { ForwardedFields } from './forwarded-fields.ts'
import { copyLines, REQUEST_ID, slab, writeAsSent, writeValue } from './head-writer.ts'
import type { RequestHead } from './request-head.ts'

export interface RequestForwarding {
  readonly forwarded: ForwardedFields
  readonly requestId: string
  /** The version by which the request came, where the head does not tell it: it was written from another. */
  readonly receivedBy?: '2.0' | undefined
  /** Sent as Host instead of the visitor's, if given. X-Forwarded-Host keeps the visitor's. */
  readonly host?: string | undefined
  /** Complete field lines (each ending in CRLF) to add; whoever gives them has validated them. */
  readonly extraLines?: string | undefined
  /** Names of cookies that do not go on. */
  readonly withoutCookies?: ReadonlySet<string> | undefined
  /** Lower-case names of fields that do not go on; whoever gives them has judged them. */
  readonly removed?: ReadonlySet<string> | undefined
  /** The head was written by another task of ours: what that added is there already. */
  readonly passedOn?: boolean | undefined
  /** False: the local server gets no Via of ours. */
  readonly via?: boolean | undefined
}

/** Set by us, or trusted by some local servers. */
const REPLACED = bits(
  FIELD.forwarded,
  FIELD.forwardedFor,
  FIELD.forwardedProto,
  FIELD.forwardedHost,
  FIELD.forwardedOther,
  FIELD.realIp,
  FIELD.requestId,
)
const HOST = bits(FIELD.host)
const MAX_FORWARDS = bits(FIELD.maxForwards)
/** RFC 9110 §10.1.1: an expectation in HTTP/1.0 counts for nothing, and would count in what we send. */
const EXPECT = bits(FIELD.expect)

const VIA_FIELD = bits(FIELD.via)
const COOKIE = bits(FIELD.cookie)

/** RFC 9110 §7.6.3. It goes behind a value that is not ended yet. */
const VIA = {
  10: Buffer.from('\r\nVia: 1.0 postern\r\n'),
  11: Buffer.from('\r\nVia: 1.1 postern\r\n'),
  20: Buffer.from('\r\nVia: 2.0 postern\r\n'),
} as const
const OUR_VIA = /^(?:1\.[01]|2\.0) postern$/

const TRAILERS = /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i

/** The head as it is sent on to the local server, in memory of its own. */
export function writeRequestHead(head: RequestHead, forwarding: RequestForwarding): Buffer {
  const { lines } = head
  slab.begin()
  const { passedOn = false } = forwarding
  const replaced = passedOn ? 0 : REPLACED
  const dropped = head.version === 10 ? replaced | EXPECT : replaced
  const rewritten = forwarding.host === undefined ? 0 : HOST
  // Between our tasks it is passed on once.
  const countedDown = passedOn || head.maxForwards === undefined ? 0 : MAX_FORWARDS
  // The node that wrote the head does not have the tunnel's rules.
  const withdrawn = passedOn && forwarding.via === false ? VIA_FIELD : 0
  const cookies = forwarding.withoutCookies === undefined ? 0 : COOKIE
  const owned = rewritten | countedDown | withdrawn | cookies
  copyLines(head, startLine(head), dropped, owned, writeOwned, forwarding, forwarding.removed)

  // RFC 9112 §3.2: HTTP/1.1 has one, though it be empty.
  if (!lines.has(FIELD.host)) slab.text(`Host: ${forwarding.host ?? head.host}\r\n`)
  if (!passedOn) writeOurs(head, forwarding)
  slab.text(connectionLines(head))
  if (forwarding.extraLines !== undefined) slab.text(forwarding.extraLines)
  slab.text('\r\n')
  return slab.take()
}

/** Who visits, and by which way. */
function writeOurs(head: RequestHead, { forwarded, requestId, receivedBy, via }: RequestForwarding): void {
  slab.bytes(forwarded.linesFor(head.host))
  slab.bytes(REQUEST_ID)
  slab.text(requestId)
  if (via === false) slab.text('\r\n')
  else slab.bytes(receivedBy === undefined ? VIA[head.version] : VIA[20])
}

/** Writes the start line, in our own version (RFC 9112 §2.3), if it must differ; answers where the run of bytes begins that may be copied. */
function startLine(head: RequestHead): number {
  const { lines } = head
  const { buffer, base } = lines
  if (head.version === 11 && head.pathBuffer !== undefined) return base + head.lineStart
  if (head.rawTarget) slab.text(`${head.method} ${head.path}`)
  else {
    slab.text(`${head.method} ${head.impliedPath}`)
    slab.span(buffer, base + head.pathStart, base + head.targetEnd)
  }
  slab.text(' HTTP/1.1\r\n')
  return lines.count > 0 ? lines.nameStart(0) : base + head.bytes - 2
}

function writeOwned(head: RequestHead, index: number, forwarding: RequestForwarding): void {
  const { lines } = head
  switch (lines.id(index)) {
    case FIELD.host:
      return writeValue(head, index, forwarding.host ?? head.host)
    case FIELD.via:
      if (!OUR_VIA.test(lines.value(index))) writeAsSent(head, index)
      return
    case FIELD.cookie: {
      const others = withoutCookies(lines.value(index), forwarding.withoutCookies!)
      if (others !== undefined) writeValue(head, index, others)
      return
    }
    default:
      writeValue(head, index, String(Math.max(0, head.maxForwards! - 1)))
  }
}

/** What this connection's next hop is told (RFC 9110 §7.6.1, §7.8, §10.1.4). */
function connectionLines(head: RequestHead): string {
  // Its visitor reads no chunks: a response that only the close delimits is its usual form, and the stream is not used again.
  if (head.version === 10) return 'Connection: close\r\n'
  if (head.upgrade !== undefined) return `Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`
  const te = head.lines.joined(FIELD.te)
  if (te !== undefined && TRAILERS.test(te)) return 'Connection: TE\r\nTE: trailers\r\n'
  return ''
}
