/** The listed set: where node:http and we differ, by rule, each with its reason. Whatever is not here is a finding. */
import type { Rule } from '@postern/protocol/http'
import type { MessageSeen } from './message-seen.ts'

/** What node's server accepts and we refuse. */
export const REFUSED_REQUESTS: Partial<Record<Rule, string>> = {
  'line-bare-cr': 'node skips a CR alone before a request',
  'method-token': 'node skips any number of empty lines, and bare LF among them, before a request; one CRLF is enough',
  'request-line': 'node reads HTTP/0.9 (`GET /` LF), and other bytes than a space before the version',
  'target-character':
    'node takes a fragment, and bytes that are no UTF-8, as part of the target; RFC 9112 §3.2 leaves them no place there',
  'target-form': 'node takes `*` for any method, where only OPTIONS may ask for it, and a URL without an authority',
  'version-syntax': 'node skips several spaces before the version, and takes RTSP/1.0 for one',
  'version-unsupported': 'node reads HTTP/0.9 and HTTP/2.0 in HTTP/1.1 syntax; whoever says so means something else',
  'field-name-lookalike': 'node keeps `Content_Length` apart from `Content-Length`; gateways of the CGI family do not',
  'host-missing': 'node answers such a request 400 by itself, but reads on behind it',
  'host-repeated': 'node takes the first of two Hosts; others take the last',
  'host-syntax': 'node does not read the value of Host; here it decides whose tunnel is reached',
  'host-userinfo': 'node does not read the authority; user information hides the host before an `@`',
  'host-differs': 'node does not compare the URL of a target with Host; each could name another tunnel',
  'content-length-syntax': 'node 24 takes a tab behind the number, node 20 does not',
  'content-length-huge': 'node counts to 2^64; a number of JavaScript is exact to 2^53',
  'transfer-coding': 'node takes `gzip, chunked`, and an empty Transfer-Encoding for none',
  'transfer-encoding-version': 'node reads Transfer-Encoding in HTTP/1.0, which RFC 9112 §6.1 calls faulty',
  'framing-both': 'node refuses both too, unless Transfer-Encoding is empty',
  'connection-syntax':
    'node looks for known words and skips the rest; what is no list, or has tabs in it, may hide a close',
  'chunk-extension': 'node takes an extension without a name, or with an equals sign and no value',
  'chunk-line-bytes': 'node takes 16 KiB of extensions in a body',
}

/** What node's client accepts and we refuse. */
export const REFUSED_RESPONSES: Partial<Record<Rule, string>> = {
  'line-bare-cr': 'node skips bare CR within a reason',
  'status-line': 'node takes NUL within a reason, and RTSP/1.0 for a version',
  'status-code': 'node takes 000 to 099',
  'version-unsupported': 'node reads HTTP/0.9 and HTTP/2.0 in HTTP/1.1 syntax',
  'upgrade-unasked': 'node’s client destroys such a connection later, or hands it on; here nobody asked for it',
  'upgrade-fields': 'node takes a 101 that does not name its protocol for a response without body',
  'field-name-lookalike': 'as in a request',
  'content-length-syntax': 'as in a request',
  'content-length-huge': 'as in a request',
  'transfer-coding': 'as in a request',
}

/** `Connection: upgrade` with any Upgrade, as node sees it: its server reads nothing behind the body of such a request. */
export function stopsNode(messages: readonly MessageSeen[]): boolean {
  return messages.some(({ fields }) => has(fields, 'connection', /upgrade/i) && has(fields, 'upgrade', /^/))
}

/** Node's client takes an interim response that says close, or is of HTTP/1.0, for the last one. What we write says neither. */
export function closesEarly(messages: readonly MessageSeen[]): boolean {
  return messages.some(
    ({ start, fields }) =>
      /^1\.. 1(?!01)/.test(start) && (start.startsWith('1.0') || has(fields, 'connection', /close/i)),
  )
}

function has(fields: readonly string[], name: string, value: RegExp): boolean {
  return fields.some((text, i) => i % 2 === 0 && text.toLowerCase() === name && value.test(fields[i + 1]!))
}
