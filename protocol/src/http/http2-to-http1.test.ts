import { expect, test } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { http1LastChunk, http1RequestHead, http1ResponseHead, type RawFields } from './http2-to-http1.ts'
import { RequestHeadParser } from './request-head.ts'
import { ruleOf } from './rules.ts'

const PSEUDO = [':method', 'GET', ':scheme', 'https', ':path', '/', ':authority', 'demo.example.com']

/** The default request with pseudo-fields changed (undefined: left out) and fields behind. */
function request(changes: Record<string, string | undefined> = {}, fields: RawFields = []): string[] {
  const raw: string[] = []
  for (let i = 0; i < PSEUDO.length; i += 2) {
    const value = PSEUDO[i]! in changes ? changes[PSEUDO[i]!] : PSEUDO[i + 1]
    if (value !== undefined) raw.push(PSEUDO[i]!, value)
  }
  return [...raw, ...fields]
}

const text = (raw: RawFields, ended = true): string => http1RequestHead(raw, ended).toString('latin1')

/** The rule that is broken, by the translation or by the parser behind it. */
function brokenRule(raw: RawFields): string | undefined {
  try {
    const bytes = http1RequestHead(raw, true)
    const head = new RequestHeadParser().parse(bytes, 0, bytes.length)
    // Whatever passes is one head to its last byte.
    expect(head?.bytes).toBe(bytes.length)
    return undefined
  } catch (error) {
    if (!(error instanceof TunnelFault)) throw error
    return ruleOf(error)
  }
}

test('a request is written in the order of its fields, the authority as Host', () => {
  expect(text(request({ ':path': '/a?b' }, ['b', '2', 'a', '1', 'b', '3']))).toBe(
    'GET /a?b HTTP/1.1\r\nhost: demo.example.com\r\nb: 2\r\na: 1\r\nb: 3\r\n\r\n',
  )
})

test('crumbs of Cookie are one field, where the first stood (RFC 9113 §8.2.3)', () => {
  expect(text(request({}, ['cookie', 'a=1', 'x', 'y', 'cookie', 'b=2', 'cookie', 'c=3']))).toContain(
    'cookie: a=1; b=2; c=3\r\nx: y\r\n\r\n',
  )
})

test('a body without a length is said to be chunked, and no body is said to be none', () => {
  expect(text(request({ ':method': 'POST' }), false)).toContain('transfer-encoding: chunked\r\n')
  expect(text(request({ ':method': 'POST' }, ['content-length', '5']), false)).not.toContain('transfer-encoding')
  expect(text(request({ ':method': 'PROPFIND' }))).not.toMatch(/transfer-encoding|content-length/)
})

test('octets above 127 pass as they are', () => {
  expect(http1RequestHead(request({}, ['x', 'caf\u00e9']), true).includes(Buffer.from('caf\xe9', 'latin1'))).toBe(true)
})

test('raw UTF-8 in a path passes to the parser of the head', () => {
  expect(text(request({ ':path': '/\u00c3\u00b6' }))).toMatch(/^GET \/\u00c3\u00b6 HTTP\/1\.1\r\n/)
})

test.each([
  ['no method (§8.3.1)', request({ ':method': undefined }), 'method-token'],
  ['no scheme (§8.3.1)', request({ ':scheme': undefined }), 'h2-pseudo-fields'],
  ['no path (§8.3.1)', request({ ':path': undefined }), 'h2-pseudo-fields'],
  ['an empty path (§8.3.1)', request({ ':path': '' }), 'target-form'],
  ['a path that is a URL (§8.3.1)', request({ ':path': 'http://demo.example.com/' }), 'target-form'],
  ['an asterisk that is no OPTIONS (§8.3.1)', request({ ':path': '*' }), 'target-form'],
  ['a fragment (§8.3.1)', request({ ':path': '/#a' }), 'target-character'],
  ['another scheme', request({ ':scheme': 'gopher' }), 'h2-scheme'],
  ['a pseudo-field twice (§8.3)', [...request(), ':path', '/b'], 'h2-pseudo-fields'],
  ['a pseudo-field of responses (§8.3)', request({}, [':status', '200']), 'h2-pseudo-fields'],
  [
    'the pseudo-field of an extended CONNECT (RFC 8441 §4)',
    request({}, [':protocol', 'websocket']),
    'h2-pseudo-fields',
  ],
  ['CONNECT (§8.5)', [':method', 'CONNECT', ':authority', 'demo.example.com:443'], 'method-connect'],
  ['nobody asked (§8.3.1)', request({ ':authority': undefined }), 'host-missing'],
  ['two Hosts', request({}, ['host', 'demo.example.com', 'host', 'demo.example.com']), 'host-repeated'],
  ['another Host than the authority (§8.3.1)', request({}, ['host', 'other.example.com']), 'host-differs'],
  ['user information (§8.3.1)', request({ ':authority': 'a@demo.example.com' }), 'host-userinfo'],
  ['an upper-case name (§8.2.1)', request({}, ['X-Own', '1']), 'field-name-token'],
  ['an empty name (§8.2.1)', request({}, ['', '1']), 'field-name-token'],
  ['a colon in a name (§8.2.1)', request({}, ['x:y', '1']), 'field-name-token'],
  ['a look-alike', request({}, ['content_length', '5']), 'field-name-lookalike'],
  ['two lengths', request({}, ['content-length', '0', 'content-length', '0']), 'content-length-repeated'],
] as const)('%s is refused', (_what, raw, rule) => {
  expect(brokenRule(raw)).toBe(rule)
})

const FORBIDDEN = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
]

test.each(FORBIDDEN)('%s of HTTP/2 reaches no HTTP/1.1 message, in heads and trailers (RFC 9113 §8.2.2)', (name) => {
  const raw = [name, 'chunked', 'x', 'y']
  expect(text(request({}, raw))).toBe('GET / HTTP/1.1\r\nhost: demo.example.com\r\nx: y\r\n\r\n')
  expect(http1ResponseHead([':status', '200', ...raw], { method: 'HEAD', ended: true }).toString()).toBe(
    'HTTP/1.1 200 OK\r\nx: y\r\n\r\n',
  )
  expect(http1LastChunk(raw, 'response').toString()).toBe('0\r\nx: y\r\n\r\n')
})

test('TE: trailers passes', () => {
  expect(text(request({}, ['te', 'trailers']))).toContain('te: trailers\r\n')
})

const INJECTED = [
  '\r\nx: y',
  '\n',
  '\r',
  '\0',
  ' HTTP/1.1\r\nhost: other.example.com\r\n\r\nGET /',
  '\u010d\u010a',
  '\u560d\u560a',
]

test.each(INJECTED)('no place of a head takes %j: it is one head or none', (evil) => {
  for (const raw of [
    request({ ':method': `GET${evil}` }),
    request({ ':path': `/${evil}` }),
    request({ ':authority': `demo.example.com${evil}` }),
    request({ ':scheme': `https${evil}` }),
    request({ ':authority': undefined }, ['host', `demo.example.com${evil}`]),
    request({}, [`x${evil}`, '1']),
    request({}, ['x', `1${evil}`]),
    request({}, ['cookie', 'a=1', 'cookie', `b=2${evil}`]),
    request({}, ['content-length', `0${evil}`]),
  ])
    expect(brokenRule(raw), JSON.stringify(raw)).toBeDefined()
  expect(() => http1ResponseHead([':status', '200', 'x', `1${evil}`], { method: 'GET', ended: true })).toThrow(
    TunnelFault,
  )
  expect(() => http1ResponseHead([':status', `200${evil}`], { method: 'GET', ended: true })).toThrow(TunnelFault)
  expect(() => http1LastChunk(['x', `1${evil}`], 'request')).toThrow(TunnelFault)
})

test.each([
  ['GET', '200', true, 'content-length: 0\r\n'],
  ['GET', '200', false, 'transfer-encoding: chunked\r\n'],
  ['HEAD', '200', true, ''],
  ['GET', '204', true, ''],
  ['GET', '304', true, ''],
  ['GET', '103', false, ''],
])('a response to %s of status %s (ended: %s) is framed by %j', (method, status, ended, framing) => {
  expect(http1ResponseHead([':status', status, 'x', 'y'], { method, ended }).toString()).toMatch(
    new RegExp(`^HTTP/1.1 ${status} [^\r]*\r\nx: y\r\n${framing}\r\n$`),
  )
})

test('a response has one status and no other pseudo-field (RFC 9113 §8.3.2)', () => {
  for (const raw of [[], [':status', '200', ':status', '200'], [':status', '200', ':path', '/'], [':status', '20']])
    expect(() => http1ResponseHead(raw, { method: 'GET', ended: true })).toThrow(/h2-pseudo-fields/)
})

test('trailers hold no pseudo-field, and stand behind the last chunk', () => {
  expect(http1LastChunk(['grpc-status', '0'], 'response').toString()).toBe('0\r\ngrpc-status: 0\r\n\r\n')
  expect(() => http1LastChunk([':status', '200'], 'response')).toThrow(/h2-pseudo-fields/)
})
