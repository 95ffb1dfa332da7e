/** Every rule a message can break, with its section; `refuse` makes the fault. Knows nothing of where the bytes come from. */
import { type FaultCode, TunnelFault } from '../fault.ts'
import {
  CHUNK_LINE_BYTES,
  HEAD_BYTES,
  HEAD_FIELDS,
  RESPONSE_CHUNK_LINE_BYTES,
  RESPONSE_HEAD_BYTES,
  RESPONSE_HEAD_FIELDS,
  TARGET_BYTES,
  TRAILER_BYTES,
} from '../limits.ts'

/** Who sent the message: decides the code of the fault, since a response that breaks any rule is `origin-invalid`. */
export type Side = 'request' | 'response'

interface RuleEntry {
  readonly code: FaultCode
  readonly text: string
}

const rule = (text: string, code: FaultCode = 'request-invalid'): RuleEntry => ({ code, text })

export const RULES = {
  // lines
  'line-bare-lf': rule('a line of a request ends with CRLF (RFC 9112 §2.2)'),
  'line-bare-cr': rule('CR occurs only before LF (RFC 9112 §2.2)'),
  'head-bytes': rule(`a head has at most ${HEAD_BYTES} bytes (RFC 9110 §5.4)`, 'head-too-large'),
  'head-fields': rule(`a head has at most ${HEAD_FIELDS} fields (RFC 9110 §5.4)`, 'head-too-large'),

  'response-head-bytes': rule(`the head of a response has at most ${RESPONSE_HEAD_BYTES} bytes (RFC 9110 §5.4)`),
  'response-head-fields': rule(`the head of a response has at most ${RESPONSE_HEAD_FIELDS} fields (RFC 9110 §5.4)`),

  // the request line
  'method-token': rule('a request begins with a method, which is a token (RFC 9110 §9.1)'),
  'method-connect': rule('CONNECT asks for a proxy, and this is none (RFC 9110 §9.3.6)', 'connect-refused'),
  'request-line': rule('method, target and version are parted by one space each (RFC 9112 §3)'),
  'target-character': rule(
    'the target is of visible ASCII characters or well-formed UTF-8, without a fragment (RFC 9112 §3.2)',
  ),
  'target-form': rule('the target is a path, an http URL, or * for OPTIONS (RFC 9112 §3.2)'),
  'target-bytes': rule(`the target has at most ${TARGET_BYTES} bytes (RFC 9112 §3)`, 'uri-too-long'),
  'version-syntax': rule('the version is HTTP/ and two digits with a dot between (RFC 9112 §2.3)'),
  'version-unsupported': rule('the version is 1.0 or 1.1 (RFC 9110 §2.5)', 'version-unsupported'),

  // the status line, and what a response may say
  'status-line': rule('a response begins with version, space, three digits, space, reason (RFC 9112 §4)'),
  'status-code': rule('a status is 100 or more (RFC 9110 §15)'),
  'upgrade-unasked': rule('101 answers only a request that asked for an upgrade (RFC 9110 §15.2.2)'),

  'upgrade-fields': rule('101 names the protocol in Upgrade, and upgrade in Connection (RFC 9110 §7.8)'),

  // fields
  'field-name-token': rule('a field line begins with a name, which is a token, and a colon (RFC 9112 §5)'),
  'field-name-space': rule('no white space stands within a name, nor before the colon of a request (RFC 9112 §5.1)'),
  'field-name-lookalike': rule(
    'no name that differs from Host, Content-Length or Transfer-Encoding only by its punctuation: local servers fold these (RFC 3875 §4.1.18)',
  ),
  'field-fold': rule(
    'a field line of a request is not folded, nor the first one preceded by white space (RFC 9112 §5.2)',
  ),
  'field-value-control': rule(
    'a value has no NUL, Content-Length and Transfer-Encoding have no control characters, and a request has none but tab (RFC 9110 §5.5)',
  ),

  // what only an HTTP/2 message can break
  'h2-pseudo-fields': rule(
    'a request has :method, :scheme and :path once, a response :status, a trailer none (RFC 9113 §8.3)',
  ),
  'h2-scheme': rule('the scheme is http or https (RFC 9113 §8.3.1)'),

  // who is asked
  'host-missing': rule('an HTTP/1.1 request has a Host (RFC 9112 §3.2)'),
  'host-repeated': rule('a request has one Host (RFC 9112 §3.2)'),
  'host-syntax': rule('Host is a name or an address, with or without a port (RFC 9110 §7.2)'),
  'host-userinfo': rule('an authority has no user information (RFC 9110 §4.2.4)'),
  'host-differs': rule(
    'a URL as the target names the same authority as Host, but for a default port (RFC 9112 §3.2.2)',
  ),

  // framing
  'content-length-syntax': rule('Content-Length is a decimal number (RFC 9110 §8.6)'),
  'content-length-repeated': rule(
    'a message has one Content-Length, or a response the same number again (RFC 9112 §6.3)',
  ),
  'content-length-huge': rule('Content-Length is below 2^53 (RFC 9110 §8.6)'),
  'transfer-coding': rule('the transfer coding is chunked and no other (RFC 9112 §6.1)', 'transfer-coding-unsupported'),
  'transfer-encoding-version': rule('HTTP/1.0 has no Transfer-Encoding (RFC 9112 §6.1)'),
  'framing-both': rule('a request has Content-Length or Transfer-Encoding, not both (RFC 9112 §6.3)'),
  'connection-syntax': rule('Connection is a list of tokens (RFC 9110 §7.6.1)'),

  // chunked bodies
  'chunk-size': rule('a chunk begins with its size in hexadecimal digits (RFC 9112 §7.1)'),
  'chunk-size-huge': rule('the size of a chunk is below 2^53 (RFC 9112 §7.1)'),
  'chunk-space': rule('no white space stands in the line of a chunk of a request (RFC 9112 §7.1.1)'),
  'chunk-extension': rule(
    'a chunk extension is a name with or without a value; in a response it has no NUL, and its quotes are closed (RFC 9112 §7.1.1)',
  ),
  'chunk-line-bytes': rule(
    `the line of a chunk has at most ${CHUNK_LINE_BYTES} bytes; in a response this is the limit of its size (RFC 9112 §7.1.1)`,
  ),
  'response-chunk-line-bytes': rule(
    `the line of a chunk of a response has at most ${RESPONSE_CHUNK_LINE_BYTES} bytes (RFC 9112 §7.1.1)`,
  ),
  'chunk-end': rule(
    'CRLF follows the data of a chunk; in a response LF may, if the data do not end with CR (RFC 9112 §7.1)',
  ),
  'trailer-bytes': rule(`a trailer section has at most ${TRAILER_BYTES} bytes (RFC 9112 §7.1.2)`, 'head-too-large'),
  'trailer-fields': rule(`a trailer section has at most ${HEAD_FIELDS} fields (RFC 9112 §7.1.2)`, 'head-too-large'),
} as const satisfies Record<string, RuleEntry>

export type Rule = keyof typeof RULES

/**
 * Ends the message. `where` names the place in a response, for the person at the agent: `in chunk 3`.
 *
 * @throws TunnelFault whose `detail` is the rule's name, a colon, its text and the place; never a byte of the input.
 */
export function refuse(side: Side, name: Rule, where?: string): never {
  const { code, text } = RULES[name]
  if (side === 'request') throw new TunnelFault(code, `${name}: ${text}`)
  throw new TunnelFault('origin-invalid', where === undefined ? `${name}: ${text}` : `${name}: ${text}, ${where}`)
}

/** The same fault with the line of the head in which the rule was broken. */
export function inLine(fault: TunnelFault, line: number): TunnelFault {
  return new TunnelFault(fault.code, `${fault.detail}, in line ${line} of the head`, { cause: fault })
}

/** The rule that a fault of this layer names, if it is one. */
export function ruleOf(fault: TunnelFault): Rule | undefined {
  const name = fault.detail?.split(':', 1)[0]
  return name !== undefined && Object.hasOwn(RULES, name) ? (name as Rule) : undefined
}
