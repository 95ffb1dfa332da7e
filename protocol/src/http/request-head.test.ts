/** Requests that two readers could read in two ways, each with the one answer that is given here. */
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { HEAD_BYTES, HEAD_FIELDS, TARGET_BYTES } from '../limits.ts'
import { type RequestHead, RequestHeadParser } from './request-head.ts'
import { RULES } from './rules.ts'
import { REFUSED_REQUESTS } from './testing/refused-requests.ts'
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
  [
    'RFC 3987 §3.1: raw UTF-8 goes on percent-encoded',
    line('GET /gr\u00c3\u00b6\u00c3\u009fe?\u00e2\u0082\u00ac=\u00f0\u009f\u008d\u00ba HTTP/1.1'),
    {
      target: '/gr\u00c3\u00b6\u00c3\u009fe?\u00e2\u0082\u00ac=\u00f0\u009f\u008d\u00ba',
      path: '/gr%C3%B6%C3%9Fe?%E2%82%AC=%F0%9F%8D%BA',
    },
  ],
  [
    'RFC 3987 §3.1: what is encoded already, and what only looks so, stays as it is',
    line('GET /%c3%b6%2F\u00c3\u00b6%zz% HTTP/1.1'),
    { path: '/%c3%b6%2F%C3%B6%zz%' },
  ],
  [
    'RFC 3987 §3.1: raw UTF-8 in a URL',
    line('GET http://a.example?\u00c3\u00b6 HTTP/1.1'),
    { path: '/?%C3%B6', host: 'a.example' },
  ],
  ['RFC 3987 §3.1: raw UTF-8 in HTTP/1.0', 'GET /\u00c3\u00b6 HTTP/1.0\r\n\r\n', { path: '/%C3%B6' }],
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
  ['RFC 2817 §3: an upgrade to TLS is none', upgrading('TLS/1.0'), { upgrade: undefined }],
  ['RFC 2817 §3: an upgrade to TLS among others is none', upgrading('websocket, tls/1.3'), { upgrade: undefined }],
  ['RFC 2817 §3: nor without a version', upgrading('Tls'), { upgrade: undefined }],
  ['RFC 9110 §7.8: a name that begins like TLS', upgrading('tlsx/1'), { upgrade: 'tlsx/1' }],
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
  it.each(REFUSED_REQUESTS)('%s', (_title, message, rule) => {
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
  /** Six bytes of each `ö` when it is encoded. */
  const rawTargetOf = (length: number) => {
    const letters = Math.floor((length - 1) / 6)
    return `GET /${'a'.repeat(length - 1 - 6 * letters)}${'\u00c3\u00b6'.repeat(letters)} HTTP/1.1\r\n${HOST}\r\n`
  }
  const targetOf = (length: number) => `GET /${'a'.repeat(length - 1)} HTTP/1.1\r\n${HOST}\r\n`
  const headOf = (length: number) => get(`X: ${'a'.repeat(length - get('X: \r\n').length)}\r\n`)
  const fieldsOf = (count: number) => get('X: a\r\n'.repeat(count - 1))

  it.each([
    ['a target of one byte less', targetOf(TARGET_BYTES - 1), undefined],
    ['the longest target', targetOf(TARGET_BYTES), undefined],
    ['a target of one byte more', targetOf(TARGET_BYTES + 1), 'target-bytes'],
    ['the longest target of raw UTF-8, as it goes on', rawTargetOf(TARGET_BYTES), undefined],
    ['one byte more of it', rawTargetOf(TARGET_BYTES + 1), 'target-bytes'],
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
