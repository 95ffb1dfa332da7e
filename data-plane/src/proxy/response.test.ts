import { BodyBoundary, CookieFence, RequestHeadParser, ResponseHeadParser } from '@postern/protocol/http'
import { expect, test } from 'vitest'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { RequestRecord } from './request-record.ts'
import { Response, type ResponseSink } from './response.ts'

test('chunks of one byte reach a visitor of HTTP/1.0 in one write for each read', () => {
  const bytes = Buffer.from('GET / HTTP/1.0\r\n\r\n')
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
  const response = new Response(options, sink, { done: true, sentBytes: 0 })
  const stream = new ScriptedStream()
  response.read(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), stream)
  writes.length = 0
  for (let read = 0; read < 3; read++) response.read(Buffer.from('1\r\nx\r\n'.repeat(500)), stream)
  response.read(Buffer.from('0\r\n\r\n'), stream)
  expect(writes).toEqual(['x'.repeat(500), 'x'.repeat(500), 'x'.repeat(500)])
})
