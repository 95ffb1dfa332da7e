/** Requests that look odd and mean one thing, each with the section it tests, and how exactly a local server gets them. Host: a.example. */
import { CHUNK_LINE_BYTES, HEAD_FIELDS, TRAILER_BYTES } from '@postern/protocol/limits'
import { DROPPED_TRAILERS, line, trailer } from '../../protocol/src/http/testing/refused-chunks.ts'

export interface Passed {
  readonly title: string
  readonly sent: string
  /** Each request without the fields that say who visits. */
  readonly reached: readonly string[]
}

const HOST = 'Host: a.example'
/** Lines, then the body behind an empty one. */
const message = (lines: readonly string[], body = ''): string => [...lines, '', body].join('\r\n')

/** Passes just as it is sent. */
const same = (title: string, lines: readonly string[], body?: string): Passed => {
  const sent = message(lines, body)
  return { title, sent, reached: [sent] }
}

/** A GET whose fields behind Host change on the way. */
const fields = (title: string, sent: readonly string[], reached: readonly string[]): Passed => ({
  title,
  sent: message(['GET / HTTP/1.1', HOST, ...sent]),
  reached: [message(['GET / HTTP/1.1', HOST, ...reached])],
})

/** The same start line and fields in another spelling. */
const respelt = (title: string, sent: string, reached: string): Passed => ({ title, sent, reached: [reached] })

const BODYLESS = [
  'GET',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'POST',
  'PUT',
  'PATCH',
  'PROPFIND',
  'MKCOL',
  'LOCK',
  'REPORT',
  'BREW',
  'get',
]
/** Its length must not depend on the host that the tests put in. */
const LOOKS_LIKE_A_REQUEST = 'GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n'

export const PASSED: readonly Passed[] = [
  // Bodies
  ...BODYLESS.map((method) =>
    same(`RFC 9112 §6.3: ${method} without a body gets no framing`, [`${method} /x HTTP/1.1`, HOST]),
  ),
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS'].map((method) =>
    same(`RFC 9110 §9.3: ${method} with a body keeps it`, [`${method} / HTTP/1.1`, HOST, 'Content-Length: 3'], 'abc'),
  ),
  ...['POST', 'GET', 'PROPFIND'].map((method) =>
    same(`RFC 9110 §8.6: ${method} with length 0 keeps it`, [`${method} / HTTP/1.1`, HOST, 'content-length: 0']),
  ),
  same(
    'RFC 9112 §6.2: a request within a body is content',
    ['POST / HTTP/1.1', HOST, `Content-Length: ${LOOKS_LIKE_A_REQUEST.length}`],
    LOOKS_LIKE_A_REQUEST,
  ),
  same(
    'RFC 9112 §7.1: a request within a chunk is content',
    ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked'],
    `${LOOKS_LIKE_A_REQUEST.length.toString(16)}\r\n${LOOKS_LIKE_A_REQUEST}\r\n0\r\n\r\n`,
  ),
  same(
    'RFC 9112 §7.1: chunks, extensions and trailers pass as they are',
    ['PUT / HTTP/1.1', HOST, 'Trailer: X-Sum', 'Transfer-Encoding: chunked'],
    '00A;a;b=c;d="e;\\"f"\r\n0123456789\r\n1\r\n\n\r\n000;last\r\nX-Sum: 1\r\nx-Other:\r\n\r\n',
  ),
  ...[CHUNK_LINE_BYTES - 1, CHUNK_LINE_BYTES].map((bytes) =>
    same(
      `RFC 9112 §7.1.1: a chunk line of ${bytes} bytes`,
      ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked'],
      `${line(bytes)}x\r\n0\r\n\r\n`,
    ),
  ),
  ...[TRAILER_BYTES - 1, TRAILER_BYTES].map((bytes) =>
    same(
      `RFC 9112 §7.1.2: a trailer section of ${bytes} bytes`,
      ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked'],
      trailer(bytes),
    ),
  ),
  ...[HEAD_FIELDS - 1, HEAD_FIELDS].map((fields) =>
    same(
      `RFC 9112 §7.1.2: a trailer section of ${fields} fields`,
      ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked'],
      `0\r\n${'X: x\r\n'.repeat(fields)}\r\n`,
    ),
  ),
  ...DROPPED_TRAILERS.map(([title, field]) => {
    const body = (...lines: string[]) => `1\r\nx\r\n0\r\n${lines.map((one) => `${one}\r\n`).join('')}\r\n`
    const upload = ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked']
    return respelt(`${title} goes`, message(upload, body('A: 1', field, 'B: 2')), message(upload, body('A: 1', 'B: 2')))
  }),
  same('RFC 9112 §7.1: an empty chunked body', ['GET / HTTP/1.1', HOST, 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  respelt(
    'RFC 9112 §6.1: Chunked in capitals is written as chunked',
    message(['POST / HTTP/1.1', HOST, 'TRANSFER-encoding: CHUNKED'], '0\r\n\r\n'),
    message(['POST / HTTP/1.1', HOST, 'TRANSFER-encoding: chunked'], '0\r\n\r\n'),
  ),
  respelt(
    'RFC 9112 §5.1: white space around chunked goes',
    message(['POST / HTTP/1.1', HOST, 'Transfer-Encoding: \t chunked  '], '0\r\n\r\n'),
    message(['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  ),
  respelt(
    'RFC 9110 §8.6: zeros before a length go',
    message(['POST / HTTP/1.1', HOST, 'Content-Length:   00010 '], '0123456789'),
    message(['POST / HTTP/1.1', HOST, 'Content-Length: 10'], '0123456789'),
  ),
  {
    title: 'RFC 9112 §9.3.2: pipelined requests are told apart at the right byte',
    sent: [
      message(['POST /1 HTTP/1.1', HOST, 'Content-Length: 5'], 'POST '),
      message(['POST /2 HTTP/1.1', HOST, 'Transfer-Encoding: chunked'], '2\r\n/x\r\n0\r\n\r\n'),
      message(['GET /3 HTTP/1.1', HOST]),
      message(['PUT /4 HTTP/1.1', HOST, 'Content-Length: 0']),
      message(['GET /5 HTTP/1.1', HOST]),
    ].join(''),
    reached: [
      message(['POST /1 HTTP/1.1', HOST, 'Content-Length: 5'], 'POST '),
      message(['POST /2 HTTP/1.1', HOST, 'Transfer-Encoding: chunked'], '2\r\n/x\r\n0\r\n\r\n'),
      message(['GET /3 HTTP/1.1', HOST]),
      message(['PUT /4 HTTP/1.1', HOST, 'Content-Length: 0']),
      message(['GET /5 HTTP/1.1', HOST]),
    ],
  },
  {
    title: 'RFC 9112 §9.6: what follows a request that says close is no request',
    sent: message(['POST /last HTTP/1.1', HOST, 'Content-Length: 1', 'Connection: close'], `x${LOOKS_LIKE_A_REQUEST}`),
    reached: [message(['POST /last HTTP/1.1', HOST, 'Content-Length: 1'], 'x')],
  },

  // Request lines
  respelt(
    'RFC 9112 §2.2: an empty line before a request goes',
    `\r\n${message(['GET / HTTP/1.1', HOST])}`,
    message(['GET / HTTP/1.1', HOST]),
  ),
  respelt(
    'RFC 9112 §3.2.2: a URL becomes a path',
    message(['GET http://a.example/b//c?d=/e HTTP/1.1', HOST]),
    message(['GET /b//c?d=/e HTTP/1.1', HOST]),
  ),
  respelt(
    'RFC 9112 §3.2.2: a URL in other letters, of https',
    message(['GET hTTpS://A.EXAMPLE HTTP/1.1', HOST]),
    message(['GET / HTTP/1.1', HOST]),
  ),
  respelt(
    'RFC 9112 §3.2.2: a URL with a query alone',
    message(['GET http://a.example?q HTTP/1.1', HOST]),
    message(['GET /?q HTTP/1.1', HOST]),
  ),
  ...[
    'GET http://a.example:80/b',
    'GET HTTP://A.EXAMPLE:80/b',
    'GET https://a.example:443/b',
    'GET http://a.example:/b',
  ].map((start) =>
    respelt(
      `RFC 9110 §4.2.3: the default port of its scheme may stand in the URL alone: ${start}`,
      message([`${start} HTTP/1.1`, HOST]),
      message(['GET /b HTTP/1.1', HOST]),
    ),
  ),
  ...['http://a.example/b|:80', 'https://a.example/b|:443', 'http://a.example:80/b|:', 'http://a.example/b|:'].map(
    (both) => {
      const [url, port] = both.split('|')
      return respelt(
        `RFC 9110 §4.2.3: the default port of its scheme may stand in Host alone: ${url} with ${port}`,
        message([`GET ${url} HTTP/1.1`, `${HOST}${port}`]),
        message(['GET /b HTTP/1.1', `${HOST}${port}`]),
      )
    },
  ),
  respelt(
    'RFC 9112 §3.2.4: OPTIONS of a URL without a path asks for *',
    message(['OPTIONS http://a.example HTTP/1.1', HOST]),
    message(['OPTIONS * HTTP/1.1', HOST]),
  ),
  same('RFC 9112 §3.2.4: OPTIONS *', ['OPTIONS * HTTP/1.1', HOST]),
  respelt(
    'RFC 9110 §7.6.2: TRACE is the local server’s to answer, one hop further',
    message(['TRACE /a HTTP/1.1', HOST, 'Max-Forwards: 3']),
    message(['TRACE /a HTTP/1.1', HOST, 'Max-Forwards: 2']),
  ),
  respelt(
    'RFC 9110 §7.6.2: OPTIONS reaches the last server it may',
    message(['OPTIONS * HTTP/1.1', HOST, 'Max-Forwards: 1']),
    message(['OPTIONS * HTTP/1.1', HOST, 'Max-Forwards: 0']),
  ),
  same('RFC 9110 §7.6.2: Max-Forwards of another method is left alone', ['GET / HTTP/1.1', HOST, 'Max-Forwards: 0']),
  same('RFC 9112 §3.2.1: two slashes are a path', ['GET //b.example/a HTTP/1.1', HOST]),
  same('RFC 9112 §3.2.1: a URL within a path', ['GET /http://b.example/ HTTP/1.1', HOST]),
  same('RFC 9112 §3.2.1: dot segments and percent-encoding stay', ['GET /a/../%2e%2E/%00%0d%0a;b HTTP/1.1', HOST]),
  same('RFC 9112 §3.2.1: an at sign in a path is no user', ['GET /@b.example:80 HTTP/1.1', HOST]),

  // Fields
  same('RFC 9110 §5.3: order, case and repetition stay', [
    'GET / HTTP/1.1',
    'x-B: 2',
    'X-a: 1',
    HOST,
    'X-A: 3',
    'X-b: 2',
    'Cookie: a=1',
    'Cookie: b=2',
  ]),
  same('RFC 9110 §5.5: white space within a value and octets above 0x7f stay', [
    'GET / HTTP/1.1',
    HOST,
    'X: a  b\tc \xe4\xff',
  ]),
  same('RFC 9110 §5.1: names that only resemble ours', [
    'GET / HTTP/1.1',
    HOST,
    'Content-Length-X: 5',
    'X-Transfer-Encoding: chunked',
    'ContentLength: 5',
    'my_header: 1',
    'Hosts: b.example',
  ]),
  same('RFC 9110 §10.1.1: an expectation', ['GET / HTTP/1.1', HOST, 'Expect: something']),
  ...[
    ['/gr\u00c3\u00b6\u00c3\u009fe?q=\u00e2\u0082\u00ac', '/gr%C3%B6%C3%9Fe?q=%E2%82%AC'],
    ['/\u00ef\u00bc\u008f\u00ef\u00bc\u008e/', '/%EF%BC%8F%EF%BC%8E/'],
    ['/\u00c2\u0085\u00e2\u0080\u00a8', '/%C2%85%E2%80%A8'],
  ].map(([sent, reached]) =>
    respelt(
      `RFC 3987 §3.1: raw UTF-8 is passed on as ${reached}`,
      message([`GET ${sent} HTTP/1.1`, HOST]),
      message([`GET ${reached} HTTP/1.1`, HOST]),
    ),
  ),
  respelt(
    'RFC 9112 §5.1: white space around values goes',
    message(['GET / HTTP/1.1', 'hOST:\ta.example ', 'X:1', 'Y:\t \t2\t', 'Z:']),
    message(['GET / HTTP/1.1', 'hOST: a.example', 'X: 1', 'Y: 2', 'Z: ']),
  ),
  ...[
    'X_Forwarded_For: 10.0.0.1',
    'X-Forwarded_For: 10.0.0.1',
    'X_FORWARDED_SSL: on',
    'X.Real~IP: 10.0.0.1',
    'Postern_Request_Id: 1',
    'Keep_Alive: timeout=5',
    'Proxy_Authorization: x',
    'tunnel_error: a',
  ].map((line) => fields(`RFC 3875 §4.1.18: ${line} goes`, ['A_B: 1', line, 'C: 2'], ['A_B: 1', 'C: 2'])),
  fields(
    'RFC 9110 §7.6.1: Connection, and what it names',
    ['Connection: x-hop, X-Two', 'X-Hop: 1', 'x-two: 2', 'X-Three: 3'],
    ['X-Three: 3'],
  ),
  fields('RFC 9110 §7.6.1: Connection on several lines', ['Connection: a', 'A: 1', 'connection: , b,', 'B: 2'], []),
  respelt(
    'RFC 9110 §7.6.1: Connection cannot name Host or framing away',
    message(['POST / HTTP/1.1', HOST, 'Connection: host, content-length, transfer-encoding', 'Content-Length: 1'], 'x'),
    message(['POST / HTTP/1.1', HOST, 'Content-Length: 1'], 'x'),
  ),
  fields('RFC 9112 §9.3: keep-alive, and its field', ['Connection: keep-alive', 'Keep-Alive: timeout=5, max=100'], []),
  fields(
    'RFC 9110 §11.7: what is for a proxy',
    ['Proxy-Connection: keep-alive', 'Proxy-Authorization: x', 'Proxy: y'],
    [],
  ),
  fields(
    'RFC 9110 §10.1.4: TE: trailers is said anew',
    ['TE: trailers', 'Connection: TE'],
    ['Connection: TE', 'TE: trailers'],
  ),
  fields(
    'RFC 9110 §10.1.4: of TE nothing but trailers',
    ['TE: gzip;q=0.5, trailers'],
    ['Connection: TE', 'TE: trailers'],
  ),
  fields('RFC 9110 §10.1.4: codings are between two hops', ['Connection: TE', 'TE: gzip, deflate;q=0.5'], []),
  fields('RFC 9110 §10.1.4: trailers with weight 0 is none', ['Connection: TE', 'TE: trailers;q=0'], []),
  fields('RFC 9110 §7.8: Upgrade that Connection does not name', ['Upgrade: websocket'], []),
  fields('RFC 9110 §7.8: Upgrade to what is no protocol', ['Connection: upgrade', 'Upgrade: web socket'], []),
  fields(
    'RFC 9113 §3.1: an upgrade to h2c',
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
    [],
  ),
  fields('RFC 2817 §3: an upgrade to TLS', ['Connection: Upgrade', 'Upgrade: TLS/1.0, HTTP/1.1'], []),
  fields(
    'RFC 9110 §7.8: another upgrade',
    ['Upgrade: a/1, b', 'Connection: keep-alive, UPGRADE'],
    ['Connection: Upgrade', 'Upgrade: a/1, b'],
  ),

  // HTTP/1.0
  respelt(
    'RFC 9112 §2.3: HTTP/1.0 goes on as HTTP/1.1, and says close',
    message(['GET /old HTTP/1.0', HOST]),
    message(['GET /old HTTP/1.1', HOST, 'Connection: close']),
  ),
  respelt(
    'RFC 9112 §9.3: HTTP/1.0 with keep-alive and a body',
    message(['POST /old HTTP/1.0', HOST, 'Connection: keep-alive', 'Content-Length: 2'], 'ab'),
    message(['POST /old HTTP/1.1', HOST, 'Content-Length: 2', 'Connection: close'], 'ab'),
  ),
  respelt(
    'RFC 9112 §6.3: HTTP/1.0 without a length has no body',
    message(['POST /old HTTP/1.0', HOST], LOOKS_LIKE_A_REQUEST),
    message(['POST /old HTTP/1.1', HOST, 'Connection: close']),
  ),
  respelt(
    'RFC 9112 §3.2.2: HTTP/1.0 with a URL and no Host is given one',
    'GET http://a.example/old HTTP/1.0\r\n\r\n',
    message(['GET /old HTTP/1.1', HOST, 'Connection: close']),
  ),
  respelt(
    'RFC 9110 §7.8: HTTP/1.0 cannot upgrade, nor take trailers',
    message(['GET /old HTTP/1.0', HOST, 'Connection: upgrade, TE', 'Upgrade: websocket', 'TE: trailers']),
    message(['GET /old HTTP/1.1', HOST, 'Connection: close']),
  ),
  respelt(
    'RFC 9110 §10.1.1: HTTP/1.0 cannot expect',
    message(['POST /old HTTP/1.0', HOST, 'Expect: 100-continue', 'Content-Length: 2'], 'ab'),
    message(['POST /old HTTP/1.1', HOST, 'Content-Length: 2', 'Connection: close'], 'ab'),
  ),
]
