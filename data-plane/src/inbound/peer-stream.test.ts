import { CookieFence } from '@postern/protocol/http'
import { afterAll, expect, test } from 'vitest'
import { ScriptedRoute, ScriptedStream } from '../testing/scripted-route.ts'
import { PeerStream, type PeerStreamContext } from './peer-stream.ts'
import { Sweeper } from './sweeper.ts'

const sweeper = new Sweeper(
  () => 0,
  60_000,
  () => {},
)
afterAll(() => sweeper.stop())

const context: PeerStreamContext = {
  proto: 'http',
  cookies: new CookieFence('example.com'),
  sweeper,
  failed: () => {},
  now: () => 0,
  makeRoom: () => false,
  enter: () => () => {},
}

/** A request that a peer has forwarded, as bytes in these pieces; answers what reached the local server. */
async function forwarded(...pieces: string[]): Promise<{ received: string; consumed: number }> {
  const route = new ScriptedRoute()
  const fromPeer = new ScriptedStream()
  const asker = { requestId: 'r', visitorAddress: '192.0.2.1' }
  const { listener } = new PeerStream(fromPeer, asker, route, context, () => {})
  for (const piece of pieces) listener.data(Buffer.from(piece))
  const { stream } = await route.leased(0)
  return { received: stream.received, consumed: fromPeer.consumed }
}

test('Max-Forwards that the peer has counted down to 0 is passed on', async () => {
  const head = 'OPTIONS / HTTP/1.1\r\nHost: demo.example.com\r\nMax-Forwards: 0\r\n\r\n'
  expect((await forwarded(head)).received).toBe(head)
})

test('a body that comes in single bytes is passed on and credited', async () => {
  const request = `POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 5\r\n\r\n12345`
  expect(await forwarded(...request)).toEqual({ received: request, consumed: request.length })
})
