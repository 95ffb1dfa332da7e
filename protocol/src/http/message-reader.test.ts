import { expect, test } from 'vitest'
import { http2RequestFields, http2ResponseFields, http2Trailers, joinRepeated } from './http1-to-http2.ts'
import { MessageReader } from './message-reader.ts'
import { RequestHeadParser } from './request-head.ts'
import { ResponseHeadParser } from './response-head.ts'

/** What a response comes to, fed in pieces of so many bytes. */
function readResponse(text: string, pieceBytes: number, method = 'GET') {
  const parser = new ResponseHeadParser()
  parser.answer(method, false)
  const seen = { heads: [] as unknown[], body: '', trailers: undefined as unknown, ends: 0 }
  const reader = new MessageReader(parser, 'response', {
    head: (head) => {
      seen.heads.push(http2ResponseFields(head))
      return head.interim
    },
    data: (piece) => {
      seen.body += piece.toString('latin1')
    },
    end: (trailers) => {
      seen.ends += 1
      seen.trailers = trailers && http2Trailers(trailers)
    },
  })
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.read(bytes.subarray(at, at + pieceBytes))
  return { ...seen, done: reader.done }
}

test.each([1, 2, 7, 1000])('heads, body and trailers are the same in pieces of %i bytes', (pieceBytes) => {
  const text =
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n' +
    '4;x=y\r\nbody\r\n4\r\n and\r\n0\r\nGrpc-Status: 0\r\nX: 1\r\nX: 2\r\n\r\n'
  expect(readResponse(text, pieceBytes)).toEqual({
    heads: [
      { ':status': '103', link: '</a>' },
      { ':status': '200', 'set-cookie': ['a', 'b'] },
    ],
    body: 'body and',
    trailers: { 'grpc-status': '0', x: ['1', '2'] },
    ends: 1,
    done: true,
  })
})

test('a body of a known length ends with it, and what follows is dropped', () => {
  expect(readResponse('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef', 4)).toMatchObject({
    body: 'abc',
    ends: 1,
    done: true,
  })
})

test('a message without a body ends with its head', () => {
  expect(readResponse('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n', 9, 'HEAD')).toMatchObject({
    body: '',
    ends: 1,
    done: true,
  })
  expect(readResponse('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 9)).toMatchObject({ ends: 1, done: true })
})

test('a body that its connection ends goes on for ever', () => {
  expect(readResponse('HTTP/1.1 200 OK\r\n\r\nabc', 5)).toMatchObject({ body: 'abc', ends: 0, done: false })
})

test("a request's fields of the connection stay behind, its Host is the authority", () => {
  const bytes = Buffer.from(
    'POST http://Demo.example.com/a?b HTTP/1.1\r\nHost: Demo.example.com\r\nConnection: TE\r\nTE: gzip, trailers\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n',
  )
  const head = new RequestHeadParser().parse(bytes, 0, bytes.length)!
  expect(http2RequestFields(head)).toEqual({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/a?b',
    ':authority': 'Demo.example.com',
    te: 'trailers',
    'x-own': '1',
  })
})

test('fields that may be sent once are joined, Set-Cookie never', () => {
  expect(joinRepeated({ etag: ['a', 'b'], cookie: ['c=1', 'd=2'], 'set-cookie': ['e', 'f'], x: 'y' })).toEqual({
    etag: 'a, b',
    cookie: 'c=1; d=2',
    'set-cookie': ['e', 'f'],
    x: 'y',
  })
})

test('names of JavaScript are names like any other', () => {
  const lines = '__proto__: 1\r\n__proto__: 2\r\nConstructor: 3\r\nLength: 4\r\nToString: 5\r\n'
  const names = [
    ['__proto__', ['1', '2']],
    ['constructor', '3'],
    ['length', '4'],
    ['tostring', '5'],
  ]
  const { heads, trailers } = readResponse(
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${lines}\r\n0\r\n${lines}\r\n`,
    1000,
  )
  expect(Object.entries(heads[0] as object)).toEqual([[':status', '200'], ...names])
  expect(Object.entries(trailers as object)).toEqual(names)
  expect(Object.entries(joinRepeated(heads[0] as Record<string, string[]>))).toContainEqual(['__proto__', '1, 2'])
})

test('HTTP2-Settings stays behind, in heads and trailers (RFC 9113 §8.2.2)', () => {
  const lines = 'HTTP2-Settings: AAAA\r\nX: 1\r\n'
  expect(
    readResponse(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${lines}\r\n0\r\n${lines}\r\n`, 1000),
  ).toMatchObject({ heads: [{ ':status': '200', x: '1' }], trailers: { x: '1' } })
  const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: demo.example.com\r\n${lines}\r\n`)
  expect(http2RequestFields(new RequestHeadParser().parse(bytes, 0, bytes.length)!)).not.toHaveProperty(
    'http2-settings',
  )
})
