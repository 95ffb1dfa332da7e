/** Responses of a local server, as untrusted as requests. */
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { HEAD_BYTES, HEAD_FIELDS } from '../limits.ts'
import { type ResponseHead, ResponseHeadParser } from './response-head.ts'
import type { Rule } from './rules.ts'
import { verdictOf } from './testing/verdict.ts'

interface Asked {
  method?: string
  upgrade?: boolean
}

const ok = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}\r\n`
const status = (line: string, fields = '') => `${line}\r\n${fields}\r\n`

const REFUSED: [title: string, message: string, rule: Rule, asked?: Asked][] = [
  ['RFC 9112 §4: no version', status('200 OK'), 'status-line'],
  ['RFC 9112 §4: a version in lower case', status('http/1.1 200 OK'), 'status-line'],
  ['RFC 9112 §4: another protocol', status('ICY 200 OK'), 'status-line'],
  ['RFC 9112 §4: an empty line before', `\r\n${ok('')}`, 'status-line'],
  ['RFC 9112 §4: two spaces before the status', status('HTTP/1.1  200 OK'), 'status-line'],
  ['RFC 9112 §4: a tab before the status', status('HTTP/1.1\t200 OK'), 'status-line'],
  ['RFC 9112 §4: two digits', status('HTTP/1.1 20 OK'), 'status-line'],
  ['RFC 9112 §4: four digits', status('HTTP/1.1 2000 OK'), 'status-line'],
  ['RFC 9112 §4: a signed status', status('HTTP/1.1 +20 OK'), 'status-line'],
  ['RFC 9112 §4: a tab behind the status', status('HTTP/1.1 200\tOK'), 'status-line'],
  ['RFC 9112 §4: NUL within the reason', status('HTTP/1.1 200 O\0K'), 'status-line'],
  ['RFC 9110 §15: status 000', status('HTTP/1.1 000 OK'), 'status-code'],
  ['RFC 9110 §15: status 099', status('HTTP/1.1 099 OK'), 'status-code'],
  ['RFC 9110 §2.5: HTTP/2.0', status('HTTP/2.0 200 OK'), 'version-unsupported'],
  ['RFC 9110 §2.5: HTTP/1.2', status('HTTP/1.2 200 OK'), 'version-unsupported'],
  ['RFC 9112 §2.2: LF alone ends the status line', `HTTP/1.1 200 OK\nX: a\r\n\r\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: LF alone behind the status', `HTTP/1.1 200\nX: a\r\n\r\n`, 'line-bare-lf'],
  ['RFC 9112 §2.2: CR alone splits the response', `HTTP/1.1 200 OK\rSet-Cookie: a=b\r\n\r\n`, 'line-bare-cr'],
  ['RFC 9112 §2.2: CR alone within a value', ok('Location: /a\rSet-Cookie: b=c\r\n'), 'line-bare-cr'],
  ['RFC 9112 §2.2: LF alone within a value', ok('Location: /a\nSet-Cookie: b=c\r\n'), 'line-bare-lf'],
  ['RFC 9112 §5.1: a space before the colon', ok('Content-Length : 5\r\n'), 'field-name-space'],
  ['RFC 9112 §5.2: a folded value', ok('X: a\r\n b\r\n'), 'field-fold'],
  ['RFC 9110 §5.5: NUL within a value', ok('X: a\0\r\n'), 'field-value-control'],
  ['RFC 3875 §4.1.18: Content_Length', ok('Content_Length: 5\r\n'), 'field-name-lookalike'],
  ['RFC 9112 §6.3: length and coding', ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), 'framing-both'],
  ['RFC 9112 §6.3: two lengths', ok('Content-Length: 5\r\nContent-Length: 6\r\n'), 'content-length-repeated'],
  ['RFC 9110 §8.6: a list of lengths', ok('Content-Length: 5, 5\r\n'), 'content-length-syntax'],
  [
    'RFC 9110 §8.6: a length of a HEAD is judged too',
    ok('Content-Length: x\r\n'),
    'content-length-syntax',
    { method: 'HEAD' },
  ],
  ['RFC 9112 §6.1: gzip, chunked', ok('Transfer-Encoding: gzip, chunked\r\n'), 'transfer-coding'],
  [
    'RFC 9112 §6.1: coding in HTTP/1.0',
    status('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked\r\n'),
    'transfer-encoding-version',
  ],
  [
    'RFC 9110 §15.2.2: 101 nobody asked for',
    status('HTTP/1.1 101 S', 'Connection: upgrade\r\nUpgrade: websocket\r\n'),
    'upgrade-unasked',
  ],
  [
    'RFC 9110 §7.8: 101 without Upgrade',
    status('HTTP/1.1 101 S', 'Connection: upgrade\r\n'),
    'upgrade-fields',
    { upgrade: true },
  ],
  [
    'RFC 9110 §7.8: 101 without Connection',
    status('HTTP/1.1 101 S', 'Upgrade: websocket\r\n'),
    'upgrade-fields',
    { upgrade: true },
  ],
]

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
  ['RFC 9112 §6.3: 204', status('HTTP/1.1 204 No Content', 'Content-Length: 5\r\n'), { framing: 'none' }],
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
  it.each(REFUSED)('%s', (_title, message, rule, asked) => {
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

describe('the limits of a response head', () => {
  const empty = ok('X: \r\n').length
  it.each([
    ['the longest head', ok(`X: ${'a'.repeat(HEAD_BYTES - empty)}\r\n`), undefined],
    ['a head of one byte more', ok(`X: ${'a'.repeat(HEAD_BYTES - empty + 1)}\r\n`), 'head-bytes'],
    ['the most fields', ok('X: a\r\n'.repeat(HEAD_FIELDS)), undefined],
    ['one field more', ok('X: a\r\n'.repeat(HEAD_FIELDS + 1)), 'head-fields'],
    ['a reason without end', `HTTP/1.1 200 ${'a'.repeat(HEAD_BYTES)}`, 'head-bytes'],
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
