import { TunnelFault } from '@postern/protocol/fault'
import { CookieFence, RequestHeadParser } from '@postern/protocol/http'
import { QUEUED_PER_NODE, QUEUED_PER_TUNNEL } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { QueuePlaces } from '../route/queue-places.ts'
import type { Route } from '../route/route.ts'
import { StreamQueue } from '../route/stream-queue.ts'
import type { Downstream } from './downstream.ts'
import { ProxyRequest } from './proxy-request.ts'

/** A channel without a free stream. */
const exhausted = (queue: StreamQueue): Route => ({
  queue,
  lease: () => {
    throw new TunnelFault('streams-exhausted')
  },
})

const waiter = (addressKey: string) => ({ addressKey, retry: () => {}, displaced: () => {} })

test('a request that waits for a channel that is gone waits for the next one, and is not displaced by itself', async () => {
  const places = new QueuePlaces()
  const [former, next, other] = [new StreamQueue(places), new StreamQueue(places), new StreamQueue(places)]
  let route = exhausted(former)
  const written: string[] = []
  const downstream: Downstream = {
    clientAddress: '192.0.2.1',
    addressKey: '192.0.2.1',
    mayWait: true,
    mayKeepAlive: true,
    bindsStreams: true,
    write: (bytes) => written.push(bytes.toString('latin1', 0, 12)) > 0,
    progressed: () => false,
    endWriting() {},
    setReading() {},
    putBack() {},
    probe() {},
    expireIn() {},
    done() {},
  }
  const request = new ProxyRequest(
    downstream,
    {
      dispatcher: { find: () => route },
      proto: 'https',
      cookies: new CookieFence('example.com'),
      records: { begun() {}, over() {} },
      newRequestId: () => 'r',
      failed() {},
    },
    { now: () => 0 },
  )
  const bytes = Buffer.from('POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 0\r\n\r\n')
  request.begin(new RequestHeadParser().parse(bytes, 0, bytes.length)!, bytes.length, 'HTTP/1.1')
  // All places of the node are taken, most of them here, and no address has two.
  for (let n = 1; n < QUEUED_PER_TUNNEL; n++) former.enter(waiter(`former-${n}`))
  for (let n = 0; n < QUEUED_PER_NODE - QUEUED_PER_TUNNEL; n++) other.enter(waiter(`other-${n}`))
  route = exhausted(next)
  former.sweep()
  expect([written, former.size, next.size]).toEqual([[], 0, 1])
})
