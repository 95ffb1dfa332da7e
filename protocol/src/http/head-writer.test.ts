/** What leaves for the local server and for the visitor, line by line. */
import { describe, expect, it } from 'vitest'
import { CookieFence } from './cookie-fence.ts'
import { ForwardedFields } from './forwarded-fields.ts'
import { HeadCarry } from './head-carry.ts'
import { RequestHeadParser } from './request-head.ts'
import { type RequestForwarding, writeRequestHead } from './request-head-writer.ts'
import { ResponseHeadParser } from './response-head.ts'
import {
  keepsVisitor,
  needsChunking,
  needsDechunking,
  type ResponseForwarding,
  writeResponseHead,
} from './response-head-writer.ts'

const linesOf = (head: Buffer) => {
  const text = head.toString('latin1')
  expect(text.endsWith('\r\n\r\n')).toBe(true)
  return text.slice(0, -4).split('\r\n')
}

const forwarded = new ForwardedFields('203.0.113.7', 'https')
const OURS = [
  'X-Forwarded-For: 203.0.113.7',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: a.example',
  'Postern-Request-Id: r1',
  'Via: 1.1 postern',
]

function request(message: string, forwarding: Partial<RequestForwarding> = {}): string[] {
  // Bytes around the message must neither be needed nor copied.
  const bytes = Buffer.from(`before${message}behind`, 'latin1')
  const head = new RequestHeadParser().parse(bytes, 6, bytes.length)!
  return linesOf(writeRequestHead(head, { forwarded, requestId: 'r1', ...forwarding }))
}

const get = (...fields: string[]) => ['GET /a HTTP/1.1', 'Host: a.example', ...fields, '', ''].join('\r\n')

describe('a request head for the local server', () => {
  it('keeps the fields that are meant for it, in order and case, and adds ours (RFC 9110 §7.6)', () => {
    expect(request(get('x-b: 1', 'Cookie: a=b; c=d', 'X-B: 2'))).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      'x-b: 1',
      'Cookie: a=b; c=d',
      'X-B: 2',
      ...OURS,
    ])
  })

  it('spells every line as name, colon, space, value (RFC 9112 §5)', () => {
    expect(request(get('A:1', 'B:  2', 'C: 3\t ', 'D:\t4', 'E:', 'F: ok'))).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      'A: 1',
      'B: 2',
      'C: 3',
      'D: 4',
      'E: ',
      'F: ok',
      ...OURS,
    ])
  })

  it('leaves out what belongs to the visitor’s connection (RFC 9110 §7.6.1)', () => {
    const lines = request(
      get(
        'Connection: keep-alive, X-Hop, x-other',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic x',
        'Proxy: http://evil.example',
        'TE: gzip',
        'Upgrade: h2c',
        'x-hop: 1',
        'X-OTHER: 2',
        'X-Stays: 3',
        'Trailer: X-Sum',
      ),
    )
    expect(lines).toEqual(['GET /a HTTP/1.1', 'Host: a.example', 'X-Stays: 3', 'Trailer: X-Sum', ...OURS])
  })

  it('lets Connection name away neither Host nor framing nor our own fields (RFC 9110 §7.6.1)', () => {
    const lines = request(
      get(
        'Connection: host, content-length, x-forwarded-for, postern-request-id, via',
        'Content-Length: 5',
        'Via: 1.1 a',
      ),
    )
    expect(lines).toEqual(['GET /a HTTP/1.1', 'Host: a.example', 'Content-Length: 5', ...OURS])
  })

  it('drops what a visitor claims about itself (RFC 7239 §8.1)', () => {
    const lines = request(
      get(
        'X-Forwarded-For: 10.0.0.1',
        'x-forwarded-for: 10.0.0.2',
        'X-Forwarded-Proto: http',
        'X-Forwarded-Host: b.example',
        'X-Forwarded-Port: 1',
        'X-Forwarded-Client-Cert: x',
        'Forwarded: for=10.0.0.1',
        'X-Real-IP: 10.0.0.1',
        'Postern-Request-Id: mine',
      ),
    )
    expect(lines).toEqual(['GET /a HTTP/1.1', 'Host: a.example', ...OURS])
  })

  it('drops names that differ from one of ours by their punctuation alone, and no others (RFC 3875 §4.1.18)', () => {
    const ours = [
      'X_Forwarded_For: 1',
      'X.Real~IP: 1',
      'PROXY_AUTHORIZATION: 1',
      'postern_request-id: 1',
      `X_Forwarded_${'a'.repeat(60)}: 1`,
    ]
    const others = ['my_header: 1', '_: 1', 'X_Y: 1', `x_${'a'.repeat(60)}: 1`]
    for (const passedOn of [false, true]) {
      const got = request(get(...ours, ...others), { passedOn })
      expect(got.slice(0, 2 + others.length)).toEqual(['GET /a HTTP/1.1', 'Host: a.example', ...others])
      expect(got.slice(2 + others.length)).toEqual(passedOn ? [] : OURS)
    }
  })

  it('names the host with the port by which a trusted proxy was reached', () => {
    const said = new ForwardedFields('203.0.113.7', 'https', 'a.example:8443')
    const lines = request(get(), { forwarded: said })
    expect(lines).toContain('Host: a.example')
    expect(lines).toContain('X-Forwarded-Host: a.example:8443')
  })

  it('names an IPv6 address without brackets', () => {
    const lines = request(get(), { forwarded: new ForwardedFields('2001:db8::1', 'http') })
    expect(lines).toContain('X-Forwarded-For: 2001:db8::1')
  })

  it('passes the visitor’s own X-Request-Id on, which some sign', () => {
    const own = ['X-Request-Id: mine', 'x_request_id: also', 'X-Correlation-Id: 1']
    expect(request(get(...own))).toEqual(['GET /a HTTP/1.1', 'Host: a.example', ...own, ...OURS])
  })

  it('names itself in Via, unless the tunnel has switched that off; the Via of others stays', () => {
    const theirs = ['Via: 1.1 proxy.example', 'via: 1.1 postern-like']
    const head = ['GET /a HTTP/1.1', 'Host: a.example', ...theirs]
    expect(request(get(...theirs))).toEqual([...head, ...OURS])
    expect(request(get(...theirs), { via: false })).toEqual([...head, ...OURS.slice(0, -1)])
    for (const ours of ['1.0', '1.1', '2.0']) {
      const passedOn = get(...theirs, `Via: ${ours} postern`)
      expect(request(passedOn, { passedOn: true, via: false })).toEqual(head)
      expect(request(passedOn, { passedOn: true })).toEqual([...head, `Via: ${ours} postern`])
    }
  })

  it('names each Host of a connection in its own request', () => {
    const fields = new ForwardedFields('203.0.113.7', 'https')
    expect(request(get(), { forwarded: fields })).toContain('X-Forwarded-Host: a.example')
    const other = 'GET /a HTTP/1.1\r\nHost: b.example\r\n\r\n'
    expect(request(other, { forwarded: fields })).toContain('X-Forwarded-Host: b.example')
  })

  it('rebuilds a valid upgrade (RFC 9110 §7.8)', () => {
    const lines = request(get('Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'))
    expect(lines).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      'Sec-WebSocket-Key: x',
      ...OURS,
      'Connection: Upgrade',
      'Upgrade: websocket',
    ])
  })

  it('keeps of TE only trailers (RFC 9110 §10.1.4)', () => {
    expect(request(get('Connection: TE', 'TE: gzip;q=0.5, trailers'))).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      ...OURS,
      'Connection: TE',
      'TE: trailers',
    ])
  })

  it('writes framing as it was understood (RFC 9112 §6)', () => {
    expect(request(get('content-length: 0007', 'X: y'))).toContain('content-length: 7')
    expect(request(get('Content-Length:9'))).toContain('Content-Length: 9')
    expect(request(get('Transfer-Encoding: Chunked'))).toContain('Transfer-Encoding: chunked')
    const bodyless = request('PROPFIND /a HTTP/1.1\r\nHost: a.example\r\nDepth: 1\r\n\r\n')
    expect(bodyless.filter((line) => /^(content-length|transfer-encoding)/i.test(line))).toEqual([])
  })

  it('turns a URL into a path (RFC 9112 §3.2.1)', () => {
    const first = (target: string, method = 'GET') =>
      request(`${method} ${target} HTTP/1.1\r\nHost: a.example\r\nX: y\r\n\r\n`).slice(0, 3)
    expect(first('http://a.example/b?c')).toEqual(['GET /b?c HTTP/1.1', 'Host: a.example', 'X: y'])
    expect(first('http://A.example?c')).toEqual(['GET /?c HTTP/1.1', 'Host: a.example', 'X: y'])
    expect(first('http://a.example', 'OPTIONS')).toEqual(['OPTIONS * HTTP/1.1', 'Host: a.example', 'X: y'])
  })

  it('passes a target on untouched', () => {
    expect(request('GET /a/../%2E|^ HTTP/1.1\r\nHost: a.example\r\n\r\n')[0]).toBe('GET /a/../%2E|^ HTTP/1.1')
  })

  it('writes raw UTF-8 of a target percent-encoded, byte for byte (RFC 3987 §3.1)', () => {
    const raw = '/gr\xc3\xb6\xc3\x9fe?a=\xe2\x82\xac'
    for (const [target, version] of [
      [raw, '1.1'],
      [raw, '1.0'],
      [`http://a.example${raw}`, '1.1'],
    ]) {
      const lines = request(`GET ${target} HTTP/${version}\r\nHost: a.example\r\nX: \xff\r\n\r\n`)
      expect(lines.slice(0, 3)).toEqual(['GET /gr%C3%B6%C3%9Fe?a=%E2%82%AC HTTP/1.1', 'Host: a.example', 'X: \xff'])
    }
  })

  it('goes on as HTTP/1.1 with Connection: close, without an expectation (RFC 9112 §2.3, RFC 9110 §10.1.1)', () => {
    const lines = request(
      'GET /a HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n',
    )
    expect(lines).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      ...OURS.slice(0, -1),
      'Via: 1.0 postern',
      'Connection: close',
    ])
  })

  it('gives an HTTP/1.0 request the Host of its URL, or an empty one (RFC 9112 §3.2)', () => {
    expect(request('GET http://a.example/b HTTP/1.0\r\n\r\n')).toEqual([
      'GET /b HTTP/1.1',
      'Host: a.example',
      ...OURS.slice(0, -1),
      'Via: 1.0 postern',
      'Connection: close',
    ])
    expect(request('GET /b HTTP/1.0\r\n\r\n')).toEqual([
      'GET /b HTTP/1.1',
      'Host: ',
      'X-Forwarded-For: 203.0.113.7',
      'X-Forwarded-Proto: https',
      'Postern-Request-Id: r1',
      'Via: 1.0 postern',
      'Connection: close',
    ])
  })

  it('sends another Host if it is told to, and still says which one the visitor used', () => {
    const lines = request(get('X: y'), { host: 'localhost:3000', extraLines: 'X-Extra: 1\r\n' })
    expect(lines).toEqual(['GET /a HTTP/1.1', 'Host: localhost:3000', 'X: y', ...OURS, 'X-Extra: 1'])
  })

  it('counts Max-Forwards down, of OPTIONS and TRACE alone (RFC 9110 §7.6.2)', () => {
    const left = (method: string, value: string, forwarding: Partial<RequestForwarding> = {}) =>
      request(`${method} /a HTTP/1.1\r\nHost: a.example\r\nMAX-forwards: ${value}\r\n\r\n`, forwarding)[2]
    expect(left('OPTIONS', '3')).toBe('MAX-forwards: 2')
    expect(left('TRACE', '1')).toBe('MAX-forwards: 0')
    expect(left('TRACE', '007')).toBe('MAX-forwards: 6')
    expect(left('OPTIONS', '9'.repeat(400))).toBe('MAX-forwards: 999999')
    expect(left('GET', '3')).toBe('MAX-forwards: 3')
    for (const none of ['', 'x', '-1', '1.5', '3, 4']) expect(left('OPTIONS', none)).toBe(`MAX-forwards: ${none}`)
    // The task that the visitor came to has counted.
    expect(left('OPTIONS', '3', { passedOn: true })).toBe('MAX-forwards: 3')
    expect(left('OPTIONS', '3', { host: 'b' })).toBe('MAX-forwards: 2')
  })

  it('leaves out a forgiven empty line', () => {
    expect(request(`\r\n${get()}`)[0]).toBe('GET /a HTTP/1.1')
  })

  it('is memory of its own, also beside the next head', () => {
    const parser = new RequestHeadParser()
    const write = (message: string) => {
      const bytes = Buffer.from(message)
      return writeRequestHead(parser.parse(bytes, 0, bytes.length)!, { forwarded, requestId: 'r1' })
    }
    const first = write(get('X: first'))
    write(get('X: second'))
    expect(first.toString()).toContain('X: first')
  })

  it('may be long, and its extra lines longer still', () => {
    const long = 'v'.repeat(32_000)
    const lines = request(get(`X: ${long}`), { extraLines: `Y: ${long}${long}\r\n` })
    expect(lines).toContain(`X: ${long}`)
    expect(lines.at(-1)).toBe(`Y: ${long}${long}`)
  })
})

const KEEP: ResponseForwarding = { visitorVersion: 11, keepAlive: true, requestId: 'r1' }

function parseResponse(message: string, method = 'GET', upgrade = false) {
  const bytes = Buffer.from(`before${message}behind`, 'latin1')
  const parser = new ResponseHeadParser()
  parser.answer(method, upgrade)
  return parser.parse(bytes, 6, bytes.length)!
}

function response(message: string, forwarding: Partial<ResponseForwarding> = {}, method = 'GET', upgrade = false) {
  return linesOf(writeResponseHead(parseResponse(message, method, upgrade), { ...KEEP, ...forwarding }))
}

const ok = (...fields: string[]) => ['HTTP/1.1 200 OK', ...fields, '', ''].join('\r\n')
const NOW = expect.stringMatching(/^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/)
const OURS_BACK = [NOW, 'Postern-Request-Id: r1']

describe('a response head for the visitor', () => {
  it('keeps the fields that are meant for it, and adds ours', () => {
    expect(response(ok('Content-Type: text/plain', 'Content-Length: 5', 'Set-Cookie: a', 'Set-Cookie: b'))).toEqual([
      'HTTP/1.1 200 OK',
      'Content-Type: text/plain',
      'Content-Length: 5',
      'Set-Cookie: a',
      'Set-Cookie: b',
      ...OURS_BACK,
    ])
  })

  it('leaves out what belongs to the stream behind, and names that are ours (RFC 9110 §7.6.1)', () => {
    const lines = response(
      ok(
        'Connection: close, X-Hop',
        'Keep-Alive: timeout=5',
        'Proxy-Authenticate: Basic',
        'Upgrade: h2c',
        'X-Hop: 1',
        'Tunnel-Error: tunnel-offline',
        'Postern-Request-Id: theirs',
        'X-Request-Id: theirs',
        'Content-Length: 0',
      ),
    )
    expect(lines).toEqual(['HTTP/1.1 200 OK', 'X-Request-Id: theirs', 'Content-Length: 0', ...OURS_BACK])
  })

  it('drops names that differ from one of ours by their punctuation alone, and no others (RFC 3875 §4.1.18)', () => {
    const sent = ok('Content-Length: 0', 'Postern_Request_Id: 1', 'Set_Cookie: a=b', 'A_B: 1', 'tunnel.error: x')
    expect(response(sent)).toEqual(['HTTP/1.1 200 OK', 'Content-Length: 0', 'A_B: 1', ...OURS_BACK])
  })

  it('says what the visitor’s connection does next (RFC 9112 §9.3)', () => {
    const last = (forwarding: Partial<ResponseForwarding>, message = ok('Content-Length: 0')) =>
      response(message, forwarding).filter((line) => line.startsWith('Connection'))
    expect(last({ keepAlive: true })).toEqual([])
    expect(last({ keepAlive: false })).toEqual(['Connection: close'])
    expect(last({ keepAlive: true, visitorVersion: 10 })).toEqual(['Connection: keep-alive'])
    expect(last({ keepAlive: false, visitorVersion: 10 })).toEqual(['Connection: close'])
    expect(last({ keepAlive: true, visitorVersion: 10 }, ok())).toEqual(['Connection: close'])
    expect(last({ keepAlive: true, visitorVersion: 10 }, ok('Transfer-Encoding: chunked'))).toEqual([
      'Connection: close',
    ])
  })

  it('never shows HTTP/1.0 a transfer coding (RFC 9112 §6.1)', () => {
    const chunked = ok('Transfer-Encoding: Chunked')
    expect(response(chunked)).toContain('Transfer-Encoding: chunked')
    expect(response(chunked, { visitorVersion: 10 })).toEqual(['HTTP/1.1 200 OK', ...OURS_BACK, 'Connection: close'])
    const head = parseResponse(chunked)
    expect(needsDechunking(head, 10)).toBe(true)
    expect(needsDechunking(head, 11)).toBe(false)
    expect(keepsVisitor(head, 10)).toBe(false)
    expect(keepsVisitor(head, 11)).toBe(true)
    expect(keepsVisitor(parseResponse(chunked, 'HEAD'), 10)).toBe(true)
  })

  it('codes in chunks for HTTP/1.1 what only the end of the connection delimits (RFC 9112 §6.3)', () => {
    expect(response(ok('Connection: close'))).toEqual(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', ...OURS_BACK])
    expect(response(ok(), { visitorVersion: 10 })).toEqual(['HTTP/1.1 200 OK', ...OURS_BACK, 'Connection: close'])
    const head = parseResponse(ok())
    expect([needsChunking(head, 11), keepsVisitor(head, 11)]).toEqual([true, true])
    expect([needsChunking(head, 10), keepsVisitor(head, 10)]).toEqual([false, false])
    for (const method of ['GET', 'HEAD'])
      for (const status of [204, 304])
        expect(needsChunking(parseResponse(`HTTP/1.1 ${status} X\r\n\r\n`, method), 11)).toBe(false)
    expect(needsChunking(parseResponse(ok(), 'HEAD'), 11)).toBe(false)
  })

  it('leaves framing out where there can be none (RFC 9110 §8.6)', () => {
    expect(response('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n')).toEqual([
      'HTTP/1.1 204 No Content',
      ...OURS_BACK,
    ])
    expect(response('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n')).toContain('Content-Length: 5')
    expect(response(ok('Content-Length: 0005'), {}, 'HEAD')).toContain('Content-Length: 5')
    expect(response(ok('Transfer-Encoding: chunked'), {}, 'HEAD')).toContain('Transfer-Encoding: chunked')
  })

  it('answers in our own version, with a whole status line (RFC 9110 §2.5)', () => {
    expect(response('HTTP/1.0 404 Not here\r\nContent-Length: 0\r\n\r\n')).toEqual([
      'HTTP/1.1 404 Not here',
      'Content-Length: 0',
      ...OURS_BACK,
    ])
    expect(response('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n')[0]).toBe('HTTP/1.1 200 ')
  })

  it('passes interim responses on as they are (RFC 9110 §15.2)', () => {
    expect(response('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n')).toEqual([
      'HTTP/1.1 103 Early Hints',
      'Link: </a>',
    ])
  })

  it('rebuilds 101, and the offer of 426 (RFC 9110 §7.8)', () => {
    const switching =
      'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n'
    expect(response(switching, {}, 'GET', true)).toEqual([
      'HTTP/1.1 101 Switching',
      'Sec-WebSocket-Accept: x',
      'Postern-Request-Id: r1',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ])
    const required =
      'HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n'
    expect(response(required).slice(-2)).toEqual(['Connection: Upgrade', 'Upgrade: TLS/1.3'])
    expect(response(required, { keepAlive: false }).slice(-2)).toEqual([
      'Connection: close, Upgrade',
      'Upgrade: TLS/1.3',
    ])
  })

  it('gives a final response the time that it lacks, and no other (RFC 9110 §6.6.1)', () => {
    const theirs = 'Date: Sun, 06 Nov 1994 08:49:37 GMT'
    const dates = (message: string, forwarding: Partial<ResponseForwarding> = {}, upgrade = false) =>
      response(message, forwarding, 'GET', upgrade).filter((line) => /^date:/i.test(line))
    expect(dates(ok())).toEqual([NOW])
    expect(dates(ok(), { visitorVersion: 10 })).toEqual([NOW])
    expect(dates('HTTP/1.1 500 X\r\n\r\n')).toEqual([NOW])
    expect(dates(ok(theirs))).toEqual([theirs])
    expect(dates(ok(theirs, 'Connection: date'))).toEqual([NOW])
    expect(dates(ok(theirs, 'Connection: x'))).toEqual([theirs])
    expect(dates('HTTP/1.1 103 Early Hints\r\n\r\n')).toEqual([])
    expect(dates('HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n', {}, true)).toEqual([])
    // The task that the visitor came to adds it.
    expect(dates(ok(), { passedOn: true })).toEqual([])
    // What a tunnel's rules add stands in its place, and what they remove is replaced.
    expect(dates(ok(), { extraLines: 'A: 1\r\nDATE: then\r\n' })).toEqual(['DATE: then'])
    expect(dates(ok(theirs), { removed: new Set(['date']) })).toEqual([NOW])
  })

  it('drops cookies for other tunnels, and counts them', () => {
    const cookies = new CookieFence('tunnel.example.com')
    const lines = response(
      ok(
        'Set-Cookie: a=1; Domain=tunnel.example.com',
        'Set-Cookie:b=2',
        'Set-Cookie: c=3; domain=.example.com',
        'Set-Cookie: d=4;\x0bDomain\x0c=\x01example.com\x1f',
        'Content-Length: 0',
      ),
      { cookies },
    )
    expect(lines).toEqual(['HTTP/1.1 200 OK', 'Set-Cookie: b=2', 'Content-Length: 0', ...OURS_BACK])
    expect(cookies.dropped).toBe(3)
  })

  it('adds extra lines last', () => {
    expect(response(ok('Content-Length: 0'), { extraLines: 'Server-Timing: hop;dur=1\r\n' }).at(-1)).toBe(
      'Server-Timing: hop;dur=1',
    )
  })
})

describe('the fence around cookies (RFC 6265 §5.3)', () => {
  const admits = (cookie: string, base = 'Tunnel.Example.com') => new CookieFence(base).admits(cookie)

  it.each([
    'a=b; Domain=tunnel.example.com',
    'a=b; Domain=.tunnel.example.com',
    'a=b;DOMAIN=TUNNEL.EXAMPLE.COM',
    'a=b; Path=/; domain = example.com ; Secure',
    'a=b; Domain=com',
    'a=b; Domain=example.com.',
    'a=b; Domain="example.com"',
    'a=b; Domain=demo.tunnel.example.com; Domain=example.com',
    'a=b; Domain=example.com; Domain=demo.tunnel.example.com',
    'a=b; Domain=ex%61mple.com',
    'a=b; Domain=\u00ff.com',
    '; Domain=example.com',
  ])('drops %s', (cookie) => {
    expect(admits(cookie)).toBe(false)
  })

  it.each([
    'a=b',
    'a=b; Path=/; HttpOnly',
    'a=b; Domain=demo.tunnel.example.com',
    'a=b; Domain=',
    'a=b; Domain',
    'a=b; Domain=other.org',
    'a=b; Domain=ample.com',
    'domain=example.com',
    'a=b; XDomain=example.com',
  ])('admits %s', (cookie) => {
    expect(admits(cookie)).toBe(true)
  })
})

describe('what of a head came so far', () => {
  it('grows by doubling and forgets when cleared', () => {
    const carry = new HeadCarry()
    const message = Buffer.from('abc'.repeat(2000))
    let grown = 0
    let last = carry.buffer
    for (let i = 0; i < message.length; i++) {
      carry.append(message, i, i + 1)
      if (carry.buffer !== last) grown++
      last = carry.buffer
    }
    expect(carry.buffer.subarray(0, carry.length).equals(message)).toBe(true)
    expect(grown).toBeLessThan(6)
    carry.clear()
    expect(carry.length).toBe(0)
    expect(carry.buffer.length).toBe(0)
  })
})

describe('changes that somebody asked for', () => {
  const removed = new Set(['cookie', 'x-b'])

  it('take out every line of a name, in any case, and put others in behind ours', () => {
    const fields = get('x-b: 1', 'Accept: */*', 'COOKIE: a=b', 'X-B: 2', 'X-Bb: 3', 'Cookie: c=d')
    expect(request(fields, { removed, extraLines: 'X-B: 4\r\n' })).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      'Accept: */*',
      'X-Bb: 3',
      ...OURS,
      'X-B: 4',
    ])
  })

  it('add to what Connection names, in place of it', () => {
    expect(request(get('Connection: X-Hop', 'X-Hop: 1', 'X-B: 2', 'X-C: 3'), { removed })).toEqual([
      'GET /a HTTP/1.1',
      'Host: a.example',
      'X-C: 3',
      ...OURS,
    ])
  })

  const mend = {
    location: (value: string) => `<${value}>`,
    cookie: (value: string) => value.replace('own', 'base.example'),
  }
  const answer = (...fields: string[]) => {
    const bytes = Buffer.from(['HTTP/1.1 302 Found', ...fields, 'Content-Length: 0', '', ''].join('\r\n'), 'latin1')
    const head = new ResponseHeadParser().parse(bytes, 0, bytes.length)!
    const cookies = new CookieFence('base.example')
    return linesOf(
      writeResponseHead(head, { visitorVersion: 11, keepAlive: true, requestId: 'r1', cookies, removed, mend }),
    )
  }

  it('mend values in their places, under the names they came with', () => {
    expect(answer('A: 1', 'LOCATION: /x', 'Set-Cookie: a=1', 'Location: y', 'x-B: 2')).toEqual([
      'HTTP/1.1 302 Found',
      'A: 1',
      'LOCATION: </x>',
      'Set-Cookie: a=1',
      'Location: <y>',
      'Content-Length: 0',
      ...OURS_BACK,
    ])
  })

  it('do not get a cookie past the fence: what the visitor would see is judged', () => {
    expect(answer('Set-Cookie: a=1; Domain=own').some((line) => line.startsWith('Set-Cookie'))).toBe(false)
  })
})
