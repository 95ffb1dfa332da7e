/** Requests that two readers could read in two ways, each with the one answer that is given here. */
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { HEAD_BYTES, HEAD_FIELDS, TARGET_BYTES } from '../limits.ts'
import { type RequestHead, RequestHeadParser } from './request-head.ts'
import { RULES, type Rule } from './rules.ts'
import { verdictOf } from './testing/verdict.ts'

const HOST = 'Host: a.example\r\n'
const GET = 'GET / HTTP/1.1\r\n'

/** A GET with these fields behind its Host. */
const get = (fields: string) => `${GET}${HOST}${fields}\r\n`
/** A POST with these fields behind its Host. */
const post = (fields: string) => `POST / HTTP/1.1\r\n${HOST}${fields}\r\n`
/** An HTTP/1.0 GET with these fields. */
const old = (fields: string) => `GET / HTTP/1.0\r\n${fields}\r\n`
const upgrading = (protocols: string) => get(`Connection: upgrade\r\nUpgrade: ${protocols}\r\n`)
const line = (requestLine: string) => `${requestLine}\r\n${HOST}\r\n`

const REFUSED: [title: string, message: string, rule: Rule][] = [
  // RFC 9112 §2.2: lines
  ['RFC 9112 §2.2: LF alone ends the request line', `GET / HTTP/1.1\n${HOST}\r\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: LF alone ends a field line', `${GET}Host: a.example\n\r\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: LF alone ends the head', `${GET}${HOST}\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: LF alone twice', `${GET}Host: a.example\n\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: CR alone within a value', get('X: a\rb\r\n'), 'line-bare-cr'],
  ['RFC 9112 §2.2: CR alone hides a field', get('X: a\rContent-Length: 5\r\n'), 'line-bare-cr'],
  ['RFC 9112 §2.2: CR CR LF ends a line', get('X: a\r\r\n'), 'line-bare-cr'],
  ['RFC 9112 §2.2: CR CR LF ends the head', `${GET}${HOST}\r\r\n`, 'line-bare-cr'],
  ['RFC 9112 §2.2: CR alone behind the version', `GET / HTTP/1.1\r${HOST}\r\n`, 'line-bare-cr'],
  ['RFC 9112 §2.2: CR alone before the request line', `\r${GET}${HOST}\r\n`, 'line-bare-cr'],
  ['RFC 9112 §2.2: LF alone before the request line', `\n${GET}${HOST}\r\n`, 'method-token'],
  ['RFC 9112 §2.2: two empty lines before the request line', `\r\n\r\n${GET}${HOST}\r\n`, 'method-token'],
  ['RFC 9112 §2.2: white space before the request line', ` ${GET}${HOST}\r\n`, 'method-token'],
  ['RFC 9112 §2.2: white space before the first field', `${GET} ${HOST}\r\n`, 'field-fold'],

  // RFC 9112 §3: the request line
  ['RFC 9110 §9.1: a method with a colon', line('GE:T / HTTP/1.1'), 'method-token'],
  ['RFC 9110 §9.1: a method of another alphabet', line('G\u00c9T / HTTP/1.1'), 'method-token'],
  ['RFC 9110 §9.1: no method', line(' / HTTP/1.1'), 'method-token'],
  ['RFC 9110 §9.1: the first bytes of a TLS handshake', '\x16\x03\x01\x02\0', 'method-token'],
  ['RFC 9110 §9.3.6: CONNECT', line('CONNECT a.example:443 HTTP/1.1'), 'method-connect'],
  ['RFC 9112 §3: a tab behind the method', line('GET\t/ HTTP/1.1'), 'method-token'],
  ['RFC 9112 §3: two spaces behind the method', line('GET  / HTTP/1.1'), 'request-line'],
  ['RFC 9112 §3: two spaces before the version', line('GET /  HTTP/1.1'), 'version-syntax'],
  ['RFC 9112 §3: a tab before the version', line('GET /\tHTTP/1.1'), 'target-character'],
  ['RFC 9112 §3: a space behind the version', line('GET / HTTP/1.1 '), 'request-line'],
  ['RFC 9112 §3: a word behind the version', line('GET / HTTP/1.1 x'), 'request-line'],
  ['RFC 9112 §3: a space within the target', line('GET /a b HTTP/1.1'), 'version-syntax'],
  ['RFC 9112 §3: no version (HTTP/0.9)', 'GET /\r\n', 'request-line'],
  ['RFC 9112 §3: the method alone', 'GET\r\n', 'method-token'],
  ['RFC 9112 §3: vertical tab as a space', line('GET\x0b/ HTTP/1.1'), 'method-token'],
  ['RFC 9112 §3.2: NUL within the target', line('GET /a\0b HTTP/1.1'), 'target-character'],
  ['RFC 9112 §3.2: DEL within the target', line('GET /a\x7fb HTTP/1.1'), 'target-character'],
  ['RFC 9112 §3.2: CR within the target', line('GET /a\rb HTTP/1.1'), 'request-line'],
  ['RFC 9112 §3.2: raw UTF-8', line('GET /gr\u00c3\u00b6\u00c3\u009fe HTTP/1.1'), 'target-character'],
  ['RFC 9112 §3.2: a fragment', line('GET /a#b HTTP/1.1'), 'target-character'],
  ['RFC 9112 §3.2.1: a path without a slash', line('GET a HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.2: another scheme', line('GET ftp://a.example/ HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.2: four other letters', line('GET xttp://a.example/ HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.2: a scheme without slashes', line('GET http:a.example/ HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.2: no authority', line('GET http:/// HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.2: a query and no authority', line('GET http://?a HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.2: control bits that look like a scheme', line('GET http\x1a// HTTP/1.1'), 'target-character'],
  ['RFC 9112 §3.2.3: authority-form for a GET', line('GET a.example:80 HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.4: * for a GET', line('GET * HTTP/1.1'), 'target-form'],
  ['RFC 9112 §3.2.4: * and more for OPTIONS', line('OPTIONS */ HTTP/1.1'), 'target-form'],
  ['RFC 9112 §2.3: a version in lower case', line('GET / http/1.1'), 'version-syntax'],
  ['RFC 9112 §2.3: a version without a dot', line('GET / HTTP/11'), 'version-syntax'],
  ['RFC 9112 §2.3: another protocol', line('GET / SIP/2.0'), 'version-syntax'],
  ['RFC 9112 §2.3: a comma for the dot', line('GET / HTTP/1,1'), 'version-syntax'],
  ['RFC 9112 §2.3: a third digit', line('GET / HTTP/1.11'), 'request-line'],
  ['RFC 9110 §2.5: HTTP/1.2', line('GET / HTTP/1.2'), 'version-unsupported'],
  ['RFC 9110 §2.5: HTTP/0.9', line('GET / HTTP/0.9'), 'version-unsupported'],
  ['RFC 9110 §2.5: HTTP/2.0', line('GET / HTTP/2.0'), 'version-unsupported'],
  ['RFC 9113 §3.4: the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version-unsupported'],

  // RFC 9112 §5: field lines
  ['RFC 9112 §5: a line without a colon', get('Content-Length\r\n'), 'field-name-token'],
  ['RFC 9112 §5: an empty name', get(': 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: NUL within a name', get('Content-\0Length: 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: a name of another alphabet', get('Content-L\u00e9ngth: 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: a name in quotes', get('"Content-Length": 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: a name in brackets', get('[Content-Length]: 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: a slash within a name', get('Content/Length: 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: a vertical tab before the colon', get('Content-Length\x0b: 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: DEL before the colon', get('Content-Length\x7f: 5\r\n'), 'field-name-token'],
  ['RFC 9110 §5.1: CR before the colon', get('Content-Length\r: 5\r\n'), 'field-name-token'],
  ['RFC 9112 §5.1: a space before the colon', get('Content-Length : 5\r\n'), 'field-name-space'],
  ['RFC 9112 §5.1: a tab before the colon', get('Transfer-Encoding\t: chunked\r\n'), 'field-name-space'],
  ['RFC 9112 §5.1: a space within a name', get('Content Length: 5\r\n'), 'field-name-space'],
  ['RFC 9112 §5.2: a folded value', get('X: a\r\n b\r\n'), 'field-fold'],
  ['RFC 9112 §5.2: a value folded by a tab', get('X: a\r\n\tb\r\n'), 'field-fold'],
  ['RFC 9112 §5.2: a folded Transfer-Encoding', post('Transfer-Encoding:\r\n chunked\r\n'), 'field-fold'],
  ['RFC 9112 §5.2: white space alone on a line', get(' \r\n'), 'field-fold'],
  ['RFC 9110 §5.5: NUL within a value', get('X: a\0b\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: NUL behind chunked', post('Transfer-Encoding: chunked\0\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: a vertical tab before chunked', post('Transfer-Encoding: \x0bchunked\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: a form feed behind a length', post('Content-Length: 5\x0c\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: DEL within a value', get('X: a\x7fb\r\n'), 'field-value-control'],
  ['RFC 9110 §5.5: ESC within a value', get('X: \x1b[2J\r\n'), 'field-value-control'],

  // Names that CGI-like gateways fold into ours (RFC 3875 §4.1.18)
  ['RFC 3875 §4.1.18: Transfer_Encoding', post('Transfer_Encoding: chunked\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: Content_Length', post('Content_Length: 5\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: CONTENT_LENGTH', post('CONTENT_LENGTH: 5\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: Content.Length', post('Content.Length: 5\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: Transfer~Encoding', post('Transfer~Encoding: chunked\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: X_Forwarded_For', get('X_Forwarded_For: 10.0.0.1\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: X-Forwarded_For', get('X-Forwarded_For: 10.0.0.1\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: X_FORWARDED_SSL', get('X_FORWARDED_SSL: on\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: X_Real_IP', get('X_Real_IP: 10.0.0.1\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: X_Request_Id', get('X_Request_Id: 1\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: Keep_Alive', get('Keep_Alive: timeout=5\r\n'), 'field-name-lookalike'],
  ['RFC 3875 §4.1.18: Proxy_Authorization', get('Proxy_Authorization: x\r\n'), 'field-name-lookalike'],

  // RFC 9112 §3.2, RFC 9110 §7.2: Host
  ['RFC 9112 §3.2: no Host', `${GET}\r\n`, 'host-missing'],
  ['RFC 9112 §3.2: no Host but a URL', 'GET http://a.example/ HTTP/1.1\r\n\r\n', 'host-missing'],
  ['RFC 9112 §3.2: two Hosts', get('Host: b.example\r\n'), 'host-repeated'],
  ['RFC 9112 §3.2: the same Host twice', get(HOST), 'host-repeated'],
  ['RFC 9112 §3.2: two Hosts, one empty', get('host:\r\n'), 'host-repeated'],
  ['RFC 9112 §3.2: two Hosts in HTTP/1.0', old(`${HOST}Host: b.example\r\n`), 'host-repeated'],
  ['RFC 9110 §7.2: a list of Hosts', `${GET}Host: a.example, b.example\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: a space within Host', `${GET}Host: a.example b.example\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: a path within Host', `${GET}Host: a.example/b\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: a backslash within Host', `${GET}Host: a.example\\b\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: a query within Host', `${GET}Host: a.example?b\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: percent-encoding within Host', `${GET}Host: a%2eexample\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: another alphabet within Host', `${GET}Host: \u00e4.example\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §7.2: a scheme within Host', `${GET}Host: http://a.example\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.3: a port and no name', `${GET}Host: :80\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.3: two ports', `${GET}Host: a.example:80:90\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.3: a port with letters', `${GET}Host: a.example:8o\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.3: a signed port', `${GET}Host: a.example:+80\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.3: a port above 65535', `${GET}Host: a.example:65536\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.2: an open IPv6 literal', `${GET}Host: [::1\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.2: an empty IPv6 literal', `${GET}Host: []\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.2: a zone within an IPv6 literal', `${GET}Host: [fe80::1%25eth0]\r\n\r\n`, 'host-syntax'],
  ['RFC 3986 §3.2.2: a name behind an IPv6 literal', `${GET}Host: [::1]a\r\n\r\n`, 'host-syntax'],
  ['RFC 9110 §4.2.4: user information in Host', `${GET}Host: u@a.example\r\n\r\n`, 'host-userinfo'],
  ['RFC 9110 §4.2.4: user information in the target', line('GET http://u:p@a.example/ HTTP/1.1'), 'host-userinfo'],
  ['RFC 9112 §3.2.2: another authority in the target', line('GET http://b.example/ HTTP/1.1'), 'host-differs'],
  ['RFC 9112 §3.2.2: another port in the target', line('GET http://a.example:81/ HTTP/1.1'), 'host-differs'],
  ['RFC 9112 §3.2.2: a longer authority in the target', line('GET http://a.example.b/ HTTP/1.1'), 'host-differs'],
  ['RFC 9112 §3.2.2: a backslash in the authority', line('GET http://a.example\\@b/ HTTP/1.1'), 'host-userinfo'],

  // RFC 9112 §6: framing
  ['RFC 9112 §6.3: length and coding', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), 'framing-both'],
  ['RFC 9112 §6.3: coding and length', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'), 'framing-both'],
  ['RFC 9112 §6.3: coding and length 0', post('Transfer-Encoding: chunked\r\ncontent-length: 0\r\n'), 'framing-both'],
  ['RFC 9112 §6.3: both, in HTTP/1.0', old('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), 'framing-both'],
  ['RFC 9112 §6.3: two lengths', post('Content-Length: 5\r\nContent-Length: 6\r\n'), 'content-length-repeated'],
  ['RFC 9112 §6.3: one length twice', post('Content-Length: 5\r\nContent-Length: 5\r\n'), 'content-length-repeated'],
  ['RFC 9110 §8.6: a list of one length', post('Content-Length: 5, 5\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a list of two lengths', post('Content-Length: 5,6\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: an empty length', post('Content-Length:\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a positive sign', post('Content-Length: +5\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a negative sign', post('Content-Length: -5\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a hexadecimal length', post('Content-Length: 0x5\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a decimal fraction', post('Content-Length: 5.0\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: an exponent', post('Content-Length: 5e0\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a space within the length', post('Content-Length: 5 6\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a length in quotes', post('Content-Length: "5"\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: an underscore within the length', post('Content-Length: 1_0\r\n'), 'content-length-syntax'],
  ['RFC 9110 §8.6: a tab behind the length', post('Content-Length: 5 \t\r\n'), 'content-length-syntax'],
  ['RFC 9112 §6.1: a tab behind chunked', post('Transfer-Encoding: chunked\t\r\n'), 'transfer-coding'],
  ['RFC 9110 §8.6: 2^53', post('Content-Length: 9007199254740992\r\n'), 'content-length-huge'],
  ['RFC 9110 §8.6: 2^64 + 5', post('Content-Length: 18446744073709551621\r\n'), 'content-length-huge'],
  ['RFC 9112 §6.1: gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: chunked, gzip', post('Transfer-Encoding: chunked, gzip\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: chunked, chunked', post('Transfer-Encoding: chunked, chunked\r\n'), 'transfer-coding'],
  [
    'RFC 9112 §6.1: chunked on two lines',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    'transfer-coding',
  ],
  [
    'RFC 9112 §6.1: identity behind chunked',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n'),
    'transfer-coding',
  ],
  ['RFC 9112 §6.1: identity', post('Transfer-Encoding: identity\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: xchunked', post('Transfer-Encoding: xchunked\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: chunked in quotes', post('Transfer-Encoding: "chunked"\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: chunked with a parameter', post('Transfer-Encoding: chunked;q=1\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: chunked behind a comma', post('Transfer-Encoding: ,chunked\r\n'), 'transfer-coding'],
  ['RFC 9112 §6.1: an empty coding', post('Transfer-Encoding:\r\n'), 'transfer-coding'],
  [
    'RFC 9112 §6.1: letters that only look like chunked',
    post('Transfer-Encoding: \u0063hunKe\u00e4\r\n'),
    'transfer-coding',
  ],
  ['RFC 9112 §6.1: coding in HTTP/1.0', old(`${HOST}Transfer-Encoding: chunked\r\n`), 'transfer-encoding-version'],
  ['RFC 9110 §7.6.1: a parameter in Connection', get('Connection: close;x\r\n'), 'connection-syntax'],
  ['RFC 9110 §7.6.1: a tab behind Connection', get('Connection: close\t\r\n'), 'connection-syntax'],
  ['RFC 9110 §7.6.1: a tab within Connection', get('Connection: close\t, x\r\n'), 'connection-syntax'],
  ['RFC 9110 §7.6.1: two words in Connection', get('Connection: keep-alive close\r\n'), 'connection-syntax'],
]

const read = (head: RequestHead) => ({
  bytes: head.bytes,
  method: head.method,
  target: head.target,
  path: head.path,
  version: head.version,
  host: head.host,
  hostname: head.hostname,
  framing: head.framing,
  contentLength: head.contentLength,
  keepAlive: head.keepAlive,
  upgrade: head.upgrade,
  expectContinue: head.expectContinue,
})

const ACCEPTED: [title: string, message: string, expected: Partial<ReturnType<typeof read>>][] = [
  ['RFC 9112 §2.2: one empty line before the request line', `\r\n${GET}${HOST}\r\n`, { bytes: 37, path: '/' }],
  ['RFC 9110 §9.1: a method nobody knows', line('fo!o / HTTP/1.1'), { method: 'fo!o' }],
  ['RFC 9110 §9.1: a method in lower case', line('get / HTTP/1.1'), { method: 'get' }],
  ['RFC 9110 §9.1: WebDAV', line('PROPFIND /dav/ HTTP/1.1'), { method: 'PROPFIND', framing: 'none' }],
  ['RFC 9112 §3.2.1: two slashes', line('GET //b.example/a HTTP/1.1'), { path: '//b.example/a', host: 'a.example' }],
  ['RFC 9112 §3.2.1: a question mark alone', line('GET /? HTTP/1.1'), { path: '/?' }],
  [
    'RFC 9112 §3.2.1: characters that browsers do not encode',
    line('GET /a|b^{c}"<>`\\?[d] HTTP/1.1'),
    { path: '/a|b^{c}"<>`\\?[d]' },
  ],
  ['RFC 9112 §3.2.1: dot segments stay', line('GET /a/../b HTTP/1.1'), { path: '/a/../b' }],
  [
    'RFC 9112 §3.2.2: a URL',
    line('GET http://a.example/b?c HTTP/1.1'),
    { target: 'http://a.example/b?c', path: '/b?c' },
  ],
  ['RFC 9112 §3.2.2: a URL in capitals', line('GET HTTPS://A.EXAMPLE/b HTTP/1.1'), { path: '/b', host: 'a.example' }],
  ['RFC 9112 §3.2.2: a URL without a path', line('GET http://a.example HTTP/1.1'), { path: '/' }],
  ['RFC 9112 §3.2.2: a URL with a query only', line('GET http://a.example?b HTTP/1.1'), { path: '/?b' }],
  [
    'RFC 9112 §3.2.2: a URL and no Host in HTTP/1.0',
    'GET http://b.example:81/c HTTP/1.0\r\n\r\n',
    { path: '/c', host: 'b.example:81', hostname: 'b.example' },
  ],
  ['RFC 9112 §3.2.4: * for OPTIONS', line('OPTIONS * HTTP/1.1'), { path: '*' }],
  ['RFC 9112 §3.2.4: OPTIONS of a URL without a path', line('OPTIONS http://a.example HTTP/1.1'), { path: '*' }],
  [
    'RFC 9110 §7.2: Host in capitals with a port',
    `${GET}HOST: A.Example:8080\r\n\r\n`,
    { host: 'a.example:8080', hostname: 'a.example' },
  ],
  ['RFC 9110 §7.2: an empty Host', `${GET}Host:\r\n\r\n`, { host: '', hostname: '' }],
  ['RFC 9110 §7.2: white space around Host', `${GET}Host: \t a.example \t\r\n\r\n`, { host: 'a.example' }],
  ['RFC 9110 §7.2: an IPv6 literal', `${GET}Host: [::1]:8080\r\n\r\n`, { host: '[::1]:8080', hostname: '[::1]' }],
  ['RFC 3986 §3.2.3: an empty port', `${GET}Host: a.example:\r\n\r\n`, { hostname: 'a.example' }],
  ['RFC 9112 §3.2: HTTP/1.0 without Host', old(''), { host: '', version: 10, keepAlive: false }],
  ['RFC 9112 §5: an empty value', get('X:\r\n'), { framing: 'none' }],
  ['RFC 9110 §5.1: a name of odd token characters', get("!#$%&'*+.^_`|~: x\r\n"), { framing: 'none' }],
  ['RFC 9110 §5.1: an underscore in another name', get('my_header: x\r\n'), { framing: 'none' }],
  ['RFC 9110 §5.5: octets above 0x7f in a value', get('X: \u00ff\u0080\r\n'), { framing: 'none' }],
  ['RFC 9112 §6.3: a GET without a body', get(''), { framing: 'none', contentLength: -1 }],
  ['RFC 9112 §6.3: a POST without framing has no body', post(''), { framing: 'none', contentLength: -1 }],
  ['RFC 9112 §6.3: a GET with a body', get('Content-Length: 5\r\n'), { framing: 'length', contentLength: 5 }],
  ['RFC 9110 §8.6: length 0', post('Content-Length: 0\r\n'), { framing: 'length', contentLength: 0 }],
  ['RFC 9110 §8.6: zeros before the length', post('Content-Length: 0005\r\n'), { contentLength: 5 }],
  ['RFC 9110 §8.6: white space around the length', post('Content-Length:\t5 \r\n'), { contentLength: 5 }],
  ['RFC 9110 §8.6: 2^53 − 1', post('Content-Length: 9007199254740991\r\n'), { contentLength: 2 ** 53 - 1 }],
  [
    'RFC 9112 §6.1: Chunked in capitals',
    post('transfer-encoding: CHUNKED\r\n'),
    { framing: 'chunked', contentLength: -1 },
  ],
  ['RFC 9112 §6.1: a length in a name that is not ours', post('Content-Length-X: 5\r\n'), { framing: 'none' }],
  ['RFC 9112 §9.3: close', get('Connection: close\r\n'), { keepAlive: false }],
  ['RFC 9112 §9.3: close among others', get('Connection: x, , CLOSE ,keep-alive\r\n'), { keepAlive: false }],
  [
    'RFC 9112 §9.3: close on a second line',
    get('Connection: keep-alive\r\nConnection: close\r\n'),
    { keepAlive: false },
  ],
  ['RFC 9112 §9.3: keep-alive in HTTP/1.0', old(`${HOST}Connection: Keep-Alive\r\n`), { keepAlive: true }],
  [
    'RFC 9110 §7.8: an upgrade',
    get('Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n'),
    { upgrade: 'websocket', keepAlive: true },
  ],
  ['RFC 9110 §7.8: two protocols', get('Connection: upgrade\r\nUpgrade: a/1, b\r\n'), { upgrade: 'a/1, b' }],
  ['RFC 9113 §3.1: an upgrade to h2c is none', upgrading('h2c'), { upgrade: undefined }],
  ['RFC 9113 §3.1: an upgrade to H2C among others is none', upgrading('websocket , H2C'), { upgrade: undefined }],
  ['RFC 9113 §3.1: an upgrade to a draft of h2c is none', upgrading('h2c-14'), { upgrade: undefined }],
  ['RFC 9110 §7.8: an upgrade to HTTP/2.0 is none', upgrading('HTTP/2.0, a'), { upgrade: undefined }],
  ['RFC 9110 §7.8: an upgrade to HTTP is none', upgrading('http'), { upgrade: undefined }],
  ['RFC 9110 §7.8: a name that begins like HTTP', upgrading('httpx/1'), { upgrade: 'httpx/1' }],
  ['RFC 9110 §7.8: Upgrade without Connection is none', get('Upgrade: websocket\r\n'), { upgrade: undefined }],
  ['RFC 9110 §7.8: Connection without Upgrade is none', get('Connection: upgrade\r\n'), { upgrade: undefined }],
  [
    'RFC 9110 §7.8: an upgrade that is no protocol is none',
    get('Connection: upgrade\r\nUpgrade: a b\r\n'),
    { upgrade: undefined },
  ],
  [
    'RFC 9110 §7.8: HTTP/1.0 cannot upgrade',
    old(`${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n`),
    { upgrade: undefined },
  ],
  ['RFC 9110 §10.1.1: Expect', post('Expect: 100-Continue\r\nContent-Length: 1\r\n'), { expectContinue: true }],
  [
    "RFC 9110 §10.1.1: another expectation is the local server's matter",
    post('Expect: 100-continued\r\n'),
    { expectContinue: false },
  ],
  ['RFC 9110 §10.1.1: HTTP/1.0 cannot expect', old(`${HOST}Expect: 100-continue\r\n`), { expectContinue: false }],
]

const whole = (message: string) => verdictOf(new RequestHeadParser(), Buffer.from(message, 'latin1'), read)
const bytewise = (message: string) => verdictOf(new RequestHeadParser(), Buffer.from(message, 'latin1'), read, 1)

describe('a request is refused for what two readers could read in two ways', () => {
  it.each(REFUSED)('%s', (_title, message, rule) => {
    expect(whole(message)).toBe(rule)
    expect(bytewise(message)).toBe(rule)
  })
})

describe('a request is read in the one way it can be read', () => {
  it.each(ACCEPTED)('%s', (_title, message, expected) => {
    const head = whole(message)
    expect(head).toMatchObject({ bytes: message.length, ...expected })
    expect(bytewise(message)).toEqual(head)
  })
})

describe('the limits of a request head', () => {
  const targetOf = (length: number) => `GET /${'a'.repeat(length - 1)} HTTP/1.1\r\n${HOST}\r\n`
  const headOf = (length: number) => get(`X: ${'a'.repeat(length - get('X: \r\n').length)}\r\n`)
  const fieldsOf = (count: number) => get('X: a\r\n'.repeat(count - 1))

  it.each([
    ['a target of one byte less', targetOf(TARGET_BYTES - 1), undefined],
    ['the longest target', targetOf(TARGET_BYTES), undefined],
    ['a target of one byte more', targetOf(TARGET_BYTES + 1), 'target-bytes'],
    ['a head of one byte less', headOf(HEAD_BYTES - 1), undefined],
    ['the longest head', headOf(HEAD_BYTES), undefined],
    ['a head of one byte more', headOf(HEAD_BYTES + 1), 'head-bytes'],
    ['one field less', fieldsOf(HEAD_FIELDS - 1), undefined],
    ['the most fields', fieldsOf(HEAD_FIELDS), undefined],
    ['one field more', fieldsOf(HEAD_FIELDS + 1), 'head-fields'],
    ['a method without end', 'A'.repeat(HEAD_BYTES), 'head-bytes'],
    ['a field name without end', `${GET}${'a'.repeat(HEAD_BYTES)}`, 'head-bytes'],
    [
      'a wrong byte before the limit, found although the limit is passed',
      `${GET}${' '.repeat(HEAD_BYTES)}`,
      'field-fold',
    ],
  ])('RFC 9110 §5.4: %s', (_title, message, rule) => {
    for (const verdict of [whole(message), bytewise(message)])
      if (rule === undefined) expect(verdict).toMatchObject({ bytes: message.length })
      else expect(verdict).toBe(rule)
  })

  it('is answered by the statuses of RFC 6585 §5 and RFC 9110 §15', () => {
    const statusOf = (message: string) => {
      try {
        new RequestHeadParser().parse(Buffer.from(message), 0, message.length)
        return 200
      } catch (error) {
        return error instanceof TunnelFault ? error.status : error
      }
    }
    expect(statusOf(fieldsOf(HEAD_FIELDS + 1))).toBe(431)
    expect(statusOf(headOf(HEAD_BYTES + 1))).toBe(431)
    expect(statusOf(targetOf(TARGET_BYTES + 1))).toBe(414)
    expect(statusOf(post('Transfer-Encoding: gzip\r\n'))).toBe(501)
    expect(statusOf(line('GET / HTTP/2.0'))).toBe(505)
    expect(statusOf(line('CONNECT a:1 HTTP/1.1'))).toBe(405)
    expect(statusOf(get(HOST))).toBe(400)
  })

  it('costs time in proportion to the bytes when they come one by one', () => {
    const looked = (length: number) => {
      const message = Buffer.from(headOf(length))
      let reads = 0
      const counted = new Proxy(message, {
        get(target, key) {
          if (typeof key === 'string' && /^\d+$/.test(key)) reads++
          const value = Reflect.get(target, key, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      const parser = new RequestHeadParser()
      for (let to = 1; to <= message.length; to++) parser.parse(counted, 0, to)
      return reads
    }
    expect(looked(4000)).toBeLessThan(4000 * 8)
  })
})

describe('one parser for a whole connection', () => {
  it('reads pipelined requests one after another, and remembers nothing of the last one', () => {
    const first = post('Content-Length: 3\r\nConnection: close\r\n')
    const second = old('')
    const third = get('Upgrade: x\r\nConnection: upgrade\r\n')
    const bytes = Buffer.from(`${first}abc${second}${third}`)
    const parser = new RequestHeadParser()
    expect(parser.parse(bytes, 0, bytes.length)).toMatchObject({
      contentLength: 3,
      host: 'a.example',
      keepAlive: false,
    })
    const at = first.length + 3
    expect(parser.parse(bytes, at, bytes.length)).toMatchObject({
      contentLength: -1,
      host: '',
      framing: 'none',
      upgrade: undefined,
    })
    expect(parser.parse(bytes, at + second.length, bytes.length)).toMatchObject({
      host: 'a.example',
      upgrade: 'x',
      version: 11,
    })
  })

  it('goes on in another buffer, as long as the bytes are the same', () => {
    const message = get('X: y\r\n')
    const parser = new RequestHeadParser()
    const piece = Buffer.from(message.slice(0, 30))
    expect(parser.parse(piece, 0, piece.length)).toBeUndefined()
    const all = Buffer.from(`....${message}`)
    expect(parser.parse(all, 4, all.length)?.field('x')).toBe('y')
  })

  it('drops half a head and its buffer when released', () => {
    const parser = new RequestHeadParser()
    parser.parse(Buffer.from('GET /a'), 0, 6)
    parser.release()
    const message = Buffer.from(get(''))
    expect(parser.parse(message, 0, message.length)?.path).toBe('/')
  })

  it('keeps the fields in order and case, repeated ones apart', () => {
    const message = Buffer.from(get('X-B: 1\r\nx-a:2 \r\nX-b: 3\r\n'))
    const head = new RequestHeadParser().parse(message, 0, message.length)!
    const fields = Array.from({ length: head.fieldCount }, (_, i) => [head.fieldName(i), head.fieldValue(i)])
    expect(fields).toEqual([
      ['Host', 'a.example'],
      ['X-B', '1'],
      ['x-a', '2'],
      ['X-b', '3'],
    ])
    expect(head.field('x-B')).toBe('1, 3')
    expect(head.fieldValues('X-B')).toEqual(['1', '3'])
    expect(head.field('x-c')).toBeUndefined()
  })

  it('knows which methods are safe and which idempotent (RFC 9110 §9.2)', () => {
    const is = (method: string) => {
      const message = Buffer.from(line(`${method} / HTTP/1.1`))
      const { safe, idempotent } = new RequestHeadParser().parse(message, 0, message.length)!
      return { safe, idempotent }
    }
    expect(is('GET')).toEqual({ safe: true, idempotent: true })
    expect(is('DELETE')).toEqual({ safe: false, idempotent: true })
    expect(is('POST')).toEqual({ safe: false, idempotent: false })
    expect(is('get')).toEqual({ safe: false, idempotent: false })
  })
})

describe('the rules', () => {
  it('cite a section each', () => {
    for (const { text } of Object.values(RULES)) expect(text).toMatch(/\(RFC \d{4} §[\d.]+\)$/)
  })
})
