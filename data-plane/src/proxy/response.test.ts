import { BodyBoundary, CookieFence, RequestHeadParser, ResponseHeadParser } from '@postern/protocol/http'
import { describe, expect, test } from 'vitest'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { RequestRecord } from './request-record.ts'
import { Response, type ResponseSink } from './response.ts'

/** Gets the response to a GET, and keeps what it writes. */
function newResponse(version: '1.0' | '1.1'): { response: Response; writes: string[] } {
  const bytes = Buffer.from(`GET / HTTP/${version}\r\nHost: a.example\r\n\r\n`)
  const writes: string[] = []
  const options = {
    reader: { heads: new ResponseHeadParser(), body: new BodyBoundary('response') },
    head: new RequestHeadParser().parse(bytes, 0, bytes.length)!,
    record: new RequestRecord('192.0.2.1', () => 0),
    mayKeepAlive: false,
    cookies: new CookieFence('example.com'),
    changes: undefined,
  }
  const sink: ResponseSink = {
    write: (piece) => writes.push(piece.toString('latin1')) > 0,
    answered: () => {},
    cookieDropped: () => {},
  }
  return { response: new Response(options, sink, { done: true, sentBytes: 0 }), writes }
}

test('chunks of one byte reach a visitor of HTTP/1.0 in one write for each read', () => {
  const { response, writes } = newResponse('1.0')
  const stream = new ScriptedStream()
  response.read(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), stream)
  writes.length = 0
  for (let read = 0; read < 3; read++) response.read(Buffer.from('1\r\nx\r\n'.repeat(500)), stream)
  response.read(Buffer.from('0\r\n\r\n'), stream)
  expect(writes).toEqual(['x'.repeat(500), 'x'.repeat(500), 'x'.repeat(500)])
})

describe('the connection of a local server carries another request', () => {
  const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  const HINTS = 'HTTP/1.1 103 Early Hints\r\n\r\n'

  /** For how long it is kept, if the answer comes in pieces of `size`. */
  function kept(answer: string, version: '1.0' | '1.1', size: number): number {
    const { response } = newResponse(version)
    const bytes = Buffer.from(answer, 'latin1')
    for (let at = 0; at < bytes.length; at += size) response.read(bytes.subarray(at, at + size), new ScriptedStream())
    expect(response.state).toBe('whole')
    return response.originIdleMs
  }

  test.each([
    ['chunks', `${CHUNKED}1;a\r\nx\r\n0\r\nX: y\r\n\r\n`],
    ['RFC 9112 §7.1.1: sizes that are padded', `${CHUNKED}1  \r\nx\r\n0  \r\n\r\n`],
    ['RFC 9112 §7.1.1: an extension that is none', `${CHUNKED}1;\r\nx\r\n0;=\r\n\r\n`],
    ['an interim response', `${HINTS}${CHUNKED}0\r\n\r\n`],
  ])('behind what every reader parts in the same way: %s', (_title, answer) => {
    for (const size of [1 << 20, 1]) expect(kept(answer, '1.1', size)).toBeGreaterThan(0)
  })

  test.each([
    ['RFC 9112 §7.1: LF behind a size', `${CHUNKED}1\nx\r\n0\r\n\r\n`],
    ['RFC 9112 §7.1: LF behind data', `${CHUNKED}1\r\nx\n0\r\n\r\n`],
    ['RFC 9112 §7.1.2: LF behind the body', `${CHUNKED}0\r\n\n`],
    ['RFC 9112 §5.2: a folded trailer', `${CHUNKED}0\r\nX: y\r\n z\r\n\r\n`],
    ['RFC 9112 §5.1: white space before the colon of a trailer', `${CHUNKED}0\r\nX : y\r\n\r\n`],
    ['RFC 9112 §2.2: LF in the head', 'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n'],
    ['RFC 9112 §5.2: a fold in the head', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
    ['RFC 9110 §5.5: a control character', 'HTTP/1.1 200 OK\r\nX: \x01\r\nContent-Length: 0\r\n\r\n'],
    ['RFC 9112 §2.2: LF in an interim head', `${HINTS.replaceAll('\r', '')}${CHUNKED}0\r\n\r\n`],
    ['RFC 9112 §9.6: close in an interim head', `${HINTS.slice(0, -2)}Connection: close\r\n\r\n${CHUNKED}0\r\n\r\n`],
  ])('and not behind what another reader could part otherwise: %s', (_title, answer) => {
    for (const version of ['1.0', '1.1'] as const)
      for (const size of [1 << 20, 1]) expect(kept(answer, version, size)).toBe(0)
  })
})
