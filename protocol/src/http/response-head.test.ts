/** Responses of a local server, as untrusted as requests. */
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { RESPONSE_HEAD_BYTES, RESPONSE_HEAD_FIELDS } from '../limits.ts'
import { type ResponseHead, ResponseHeadParser } from './response-head.ts'
import { writeResponseHead } from './response-head-writer.ts'
import { type Asked, ok, REFUSED_RESPONSES, status, TOLERATED_RESPONSES } from './testing/refused-responses.ts'
import { verdictOf } from './testing/verdict.ts'

const read = (head: ResponseHead) => ({
  bytes: head.bytes,
  status: head.status,
  reason: head.reason,
  version: head.version,
  framing: head.framing,
  contentLength: head.contentLength,
  keepAlive: head.keepAlive,
  upgrade: head.upgrade,
  interim: head.interim,
  keepAliveTimeoutMs: head.keepAliveTimeoutMs,
})

const ACCEPTED: [title: string, message: string, expected: Partial<ReturnType<typeof read>>, asked?: Asked][] = [
  ['RFC 9112 §6.3: a length', ok('Content-Length: 5\r\n'), { framing: 'length', contentLength: 5, keepAlive: true }],
  ['RFC 9112 §6.3: chunked', ok('Transfer-Encoding: chunked\r\n'), { framing: 'chunked', contentLength: -1 }],
  ['RFC 9112 §6.3: neither ends by closing', ok(''), { framing: 'close', keepAlive: false }],
  [
    'RFC 9112 §6.3: neither, and keep-alive claimed',
    ok('Connection: keep-alive\r\n'),
    { framing: 'close', keepAlive: false },
  ],
  [
    'RFC 9112 §6.3: HEAD has no body, whatever its length',
    ok('Content-Length: 5\r\n'),
    { framing: 'none', contentLength: 5, keepAlive: true },
    { method: 'HEAD' },
  ],
  [
    'RFC 9112 §6.3: HEAD of something chunked',
    ok('Transfer-Encoding: chunked\r\n'),
    { framing: 'none' },
    { method: 'HEAD' },
  ],
  [
    'RFC 9112 §6.3: HEAD without framing keeps the connection',
    ok(''),
    { framing: 'none', keepAlive: true },
    { method: 'HEAD' },
  ],
  [
    'RFC 9112 §6.3: head in lower case is another method',
    ok('Content-Length: 5\r\n'),
    { framing: 'length' },
    { method: 'head' },
  ],
  ['RFC 9112 §6.3: 204', status('HTTP/1.1 204 No Content'), { framing: 'none', keepAlive: true }],
  [
    'RFC 9110 §8.6: 204 that announces a body may send one',
    status('HTTP/1.1 204 No Content', 'Content-Length: 5\r\n'),
    { framing: 'none', keepAlive: false },
  ],
  [
    'RFC 9112 §6.1: 204 that announces chunks',
    status('HTTP/1.1 204 No Content', 'Transfer-Encoding: chunked\r\n'),
    { framing: 'none', keepAlive: false },
  ],
  [
    'RFC 9110 §8.6: 204 of length 0 announces none',
    status('HTTP/1.1 204 No Content', 'Content-Length: 0\r\n'),
    { framing: 'none', keepAlive: true },
  ],
  [
    'RFC 9112 §6.3: 304 with the length of the page',
    status('HTTP/1.1 304 Not Modified', 'Content-Length: 5\r\n'),
    { framing: 'none', contentLength: 5 },
  ],
  [
    'RFC 9112 §6.3: 205 may have a length',
    status('HTTP/1.1 205 Reset', 'Content-Length: 0\r\n'),
    { framing: 'length' },
  ],
  ['RFC 9110 §15.2: 100 Continue', status('HTTP/1.1 100 Continue'), { interim: true, framing: 'none' }],
  [
    'RFC 8297 §2: 103 Early Hints',
    status('HTTP/1.1 103 Early Hints', 'Link: </a>\r\n'),
    { interim: true, framing: 'none' },
  ],
  [
    'RFC 9110 §15.2.2: 101 to who asked',
    status('HTTP/1.1 101 S', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'),
    { interim: false, upgrade: 'websocket', framing: 'none' },
    { upgrade: true },
  ],
  [
    'RFC 9110 §7.8: an upgrade that is offered with 200 is none',
    ok('Connection: upgrade\r\nUpgrade: h2c\r\n'),
    { upgrade: undefined },
    { upgrade: true },
  ],
  ['RFC 9112 §4: an empty reason', status('HTTP/1.1 200 '), { reason: '' }],
  ['RFC 9112 §4: no space before an empty reason', status('HTTP/1.1 200'), { status: 200, reason: '' }],
  ['RFC 9112 §4: a reason of any letters', status('HTTP/1.1 404 N\u00e4h \t!'), { reason: 'N\u00e4h \t!' }],
  ['RFC 9110 §15: a status nobody knows', status('HTTP/1.1 999 X'), { status: 999, framing: 'close' }],
  [
    'RFC 9112 §9.3: HTTP/1.0',
    status('HTTP/1.0 200 OK', 'Content-Length: 5\r\n'),
    { version: 10, keepAlive: false, framing: 'length' },
  ],
  [
    'RFC 9112 §9.3: HTTP/1.0 with keep-alive',
    status('HTTP/1.0 200 OK', 'Content-Length: 5\r\nConnection: keep-alive\r\n'),
    { keepAlive: true },
  ],
  ['RFC 2068 §19.7.1.1: Keep-Alive', ok('Keep-Alive: max=9, timeout=5\r\n'), { keepAliveTimeoutMs: 5000 }],
  [
    'RFC 2068 §19.7.1.1: Keep-Alive without a number',
    ok('Keep-Alive: timeout=x\r\n'),
    { keepAliveTimeoutMs: undefined },
  ],
]

function judge(message: string, asked: Asked | undefined, step?: number) {
  const parser = new ResponseHeadParser()
  parser.answer(asked?.method ?? 'GET', asked?.upgrade ?? false)
  return verdictOf(parser, Buffer.from(message, 'latin1'), read, step)
}

describe('a response is refused for what two readers could read in two ways', () => {
  it.each(REFUSED_RESPONSES)('%s', (_title, message, rule, asked) => {
    expect(judge(message, asked)).toBe(rule)
    expect(judge(message, asked, 1)).toBe(rule)
  })
})

describe('a response is read in the one way it can be read', () => {
  it.each(ACCEPTED)('%s', (_title, message, expected, asked) => {
    const head = judge(message, asked)
    expect(head).toMatchObject({ bytes: message.length, ...expected })
    expect(judge(message, asked, 1)).toEqual(head)
  })
})

describe('a response that can be understood in one way only is read, and goes on in clean form', () => {
  const fieldsOf = (head: ResponseHead) =>
    Array.from({ length: head.fieldCount }, (_, i) => [head.fieldName(i), head.fieldValue(i)])
  const seen = (message: string, step?: number) => {
    const parser = new ResponseHeadParser()
    return verdictOf(
      parser,
      Buffer.from(message, 'latin1'),
      (head) => ({
        ...read(head),
        written: writeResponseHead(head, { visitorVersion: 11, keepAlive: true, requestId: 'r' })
          .toString('latin1')
          .replace(/^Date: .*$/m, 'Date: now'),
      }),
      step,
    )
  }

  const ODD_LINES = /^RFC (?:9112 §(?:2\.2|4|5\.[12])|9110 §5\.5):/

  it.each(TOLERATED_RESPONSES)('%s', (title, message, clean) => {
    const head = seen(message)
    // RFC 9112 §6.3: nothing further is read from a server that says both, nor from one whose lines another reader could part otherwise.
    const saysBoth = title.includes('length') && title.includes('coding')
    const keepAlive = saysBoth || ODD_LINES.test(title) ? { keepAlive: false } : {}
    expect(head).toEqual({ ...(seen(clean) as object), bytes: message.length, ...keepAlive })
    for (const step of [1, 2, 7]) expect(seen(message, step)).toEqual(head)
  })

  it.each([
    ['204 No Content', 'Content-Length: x'],
    ['304 Not Modified', 'Content-Length: 5\r\nContent-Length: 6'],
    ['304 Not Modified', 'Transfer-Encoding: gzip'],
  ])('%s has no body, whatever it says of its length: %j', (start, fields) => {
    const head = seen(status(`HTTP/1.1 ${start}`, `${fields}\r\nX: a\r\n`)) as Record<string, unknown>
    expect(head).toMatchObject({ framing: 'none', keepAlive: false })
    expect(head.written).toBe(`HTTP/1.1 ${start}\r\nX: a\r\nDate: now\r\nPostern-Request-Id: r\r\n\r\n`)
  })

  it('reads the chunked coding of HTTP/1.0, and nothing behind it (RFC 9112 §6.1)', () => {
    const fields = 'Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n'
    expect(seen(status('HTTP/1.0 200 OK', fields))).toMatchObject({ framing: 'chunked', keepAlive: false })
  })

  it('keeps what follows it', () => {
    const parser = new ResponseHeadParser()
    const bytes = Buffer.from('HTTP/1.1 103 Hints\nLink : </a>\n\nHTTP/1.1 200 OK\nX: a\n b\n\nbody', 'latin1')
    const hints = parser.parse(bytes, 0, bytes.length)!
    const { bytes: length } = hints
    expect([hints.status, fieldsOf(hints), length]).toEqual([103, [['Link', '</a>']], 32])
    const final = parser.parse(bytes, length, bytes.length)!
    expect([final.status, fieldsOf(final), length + final.bytes]).toEqual([200, [['X', 'a b']], bytes.length - 4])
  })
})

describe('what is refused says which rule was broken, and in which line', () => {
  it.each([
    ['status line', 'HTTP/3.0 200 OK\r\n\r\n', 'version-unsupported', 1],
    ['field', ok('A: 1\r\nB: 2\r\nC\0: 3\r\n'), 'field-name-token', 4],
    ['field behind folds', ok('A: 1\r\n b\r\n c\r\nB: 2\r\nC C: 3\r\n'), 'field-name-space', 6],
    ['meaning of a field', ok('A: 1\r\nContent-Length: five\r\nB: 2\r\n'), 'content-length-syntax', 3],
    ['meaning of a field behind folds', ok('A: 1\r\n b\r\nContent-Length: five\r\n'), 'content-length-syntax', 4],
    ['second of two lengths', ok('Content-Length: 1\r\nA: 1\r\nContent-Length: 2\r\n'), 'content-length-repeated', 4],
  ])('%s', (_title, message, rule, line) => {
    const parser = new ResponseHeadParser()
    const bytes = Buffer.from(message, 'latin1')
    const detail = expect.stringMatching(
      new RegExp(`^${rule}: .*\\(RFC \\d+ §[^)]*\\).*, in line ${line} of the head$`),
    )
    expect(() => parser.parse(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ code: 'origin-invalid', detail }),
    )
  })
})

describe('the limits of a response head', () => {
  const empty = ok('X: \r\n').length
  it.each([
    ['the longest head', ok(`X: ${'a'.repeat(RESPONSE_HEAD_BYTES - empty)}\r\n`), undefined],
    ['a head of one byte more', ok(`X: ${'a'.repeat(RESPONSE_HEAD_BYTES - empty + 1)}\r\n`), 'response-head-bytes'],
    ['the most fields', ok('X: a\r\n'.repeat(RESPONSE_HEAD_FIELDS)), undefined],
    ['one field more', ok('X: a\r\n'.repeat(RESPONSE_HEAD_FIELDS + 1)), 'response-head-fields'],
    ['a reason without end', `HTTP/1.1 200 ${'a'.repeat(RESPONSE_HEAD_BYTES)}`, 'response-head-bytes'],
  ])('RFC 9110 §5.4: %s', (_title, message, rule) => {
    const verdict = judge(message, undefined)
    if (rule === undefined) expect(verdict).toMatchObject({ bytes: message.length })
    else expect(verdict).toBe(rule)
  })

  it('blame the local server, whatever is broken', () => {
    const parser = new ResponseHeadParser()
    const message = Buffer.from(ok('Transfer-Encoding: gzip\r\n'))
    expect(() => parser.parse(message, 0, message.length)).toThrow(TunnelFault)
    parser.release()
    expect(() => parser.parse(message, 0, message.length)).toThrow(expect.objectContaining({ code: 'origin-invalid' }))
  })
})

describe('one parser for a whole stream', () => {
  it('reads interim responses and the final one in turn', () => {
    const bytes = Buffer.from(
      `${status('HTTP/1.1 100 Continue')}${status('HTTP/1.1 103 Early Hints')}${ok('Content-Length: 0\r\n')}`,
    )
    const parser = new ResponseHeadParser()
    parser.answer('POST', false)
    let at = 0
    const seen: number[] = []
    while (at < bytes.length) {
      const head = parser.parse(bytes, at, bytes.length)!
      seen.push(head.status)
      at += head.bytes
    }
    expect(seen).toEqual([100, 103, 200])
  })
})
