import { BodyBoundary, RequestHeadParser } from '@postern/protocol/http'
import type { ByteStream } from '@postern/protocol/mux'
import { expect, test } from 'vitest'
import { RequestBody } from './request-body.ts'

const HEAD = 'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n'
const BODY = '2\r\nhi\r\n0\r\nX-Sum: 1\r\nPostern-Request-Id: 2\r\nX-End: 3\r\n\r\n'

/** A sender, and what it has sent behind the head. */
function sending() {
  const bytes = Buffer.from(HEAD)
  const head = new RequestHeadParser().parse(bytes, 0, bytes.length)!
  const sent: Buffer[] = []
  const stream = { write: (piece: Buffer) => sent.push(piece) > 0 } as unknown as ByteStream
  const sender = new RequestBody(head, bytes, new BodyBoundary('request'))
  sender.begin(stream, true)
  sent.length = 0
  const send = (text: string): void => {
    const chunk = Buffer.from(text)
    sender.measure(chunk, 0, chunk.length)
    sender.send(chunk, 0, stream, false)
  }
  return { sender, send, sent: () => Buffer.concat(sent).toString() }
}

test('a body that is sent again elsewhere is the same, wherever in its trailers it broke off', () => {
  for (let cut = 0; cut <= BODY.length; cut++) {
    const first = sending()
    first.send(BODY.slice(0, cut))
    const second = sending()
    for (const piece of first.sender.takeKept()) second.send(piece.toString())
    second.send(BODY.slice(cut))
    expect([cut, second.sender.done, second.sent()]).toEqual([
      cut,
      true,
      '2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-End: 3\r\n\r\n',
    ])
  }
})

test('the bytes that are kept of a body are counted until the response begins', () => {
  const { sender, send } = sending()
  expect(sender.keptBytes).toBe(0)
  send('2\r\nhi\r\n')
  expect(sender.keptBytes).toBe('2\r\nhi\r\n'.length)
  sender.forget()
  expect(sender.keptBytes).toBe(0)
})
