/** Sign-ins that belong to a connection (NTLM, Negotiate): a stream that carries one carries no other visitor's request, in any order of events. */
import { IDLE_STREAM_MS, SLOW_VISITOR_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, visit } from '../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedTunnel, type TunnelStream } from '../testing/scripted-tunnel.ts'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n${more}\r\n`
const NEGOTIATE = 'Authorization: NTLM TlRMTVNTUAAB\r\n'
const AUTHENTICATE = 'Authorization: NTLM TlRMTVNTUAAD\r\n'
const answer = (status: string, body: string, more = '') =>
  `HTTP/1.1 ${status}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`
const OFFER = answer('401 Unauthorized', 'who?', 'WWW-Authenticate: NTLM\r\n')
const CHALLENGE = answer('401 Unauthorized', 'more', 'WWW-Authenticate: NTLM TlRMTVNTUAAC\r\n')

async function standWith(ceiling = 256) {
  let ahead = 0
  const tunnel = new ScriptedTunnel(ceiling, () => performance.now() + ahead)
  const stand = await startPublicStand(toDemo(tunnel.route))
  const pass = (ms: number): void => {
    ahead += ms
    stand.wait(ms)
  }
  return { ...stand, tunnel, pass }
}

/** The visitor's request arrives on that stream and is answered there. */
async function exchange(browser: Browser, stream: Promise<TunnelStream> | TunnelStream, request: string, said: string) {
  const path = request.split(' ')[1]!
  const before = browser.text.length
  browser.send(request)
  const on = await stream
  await on.until(({ received }) => received.includes(` ${path} `))
  on.answer(said)
  await browser.until(({ text }) => text.length > before && text.endsWith(said.slice(-2)))
  return on
}

/** A visitor that has signed in by the stream of that index. */
async function signedIn({ port, tunnel }: Awaited<ReturnType<typeof standWith>>): Promise<[Browser, TunnelStream]> {
  const browser = new Browser(port)
  const stream = await exchange(browser, tunnel.stream(tunnel.streams.length), get('/offer'), OFFER)
  await exchange(browser, stream, get('/negotiate', NEGOTIATE), CHALLENGE)
  await exchange(browser, stream, get('/authenticate', AUTHENTICATE), answer('200 OK', 'alice'))
  return [browser, stream]
}

test('all requests of a sign-in, and those after it, take one stream, which nobody else gets', async () => {
  const stand = await standWith()
  const [alice, stream] = await signedIn(stand)
  const bob = new Browser(stand.port)
  const others = await exchange(bob, stand.tunnel.stream(1), get('/bob'), answer('200 OK', 'nobody'))
  stand.pass(IDLE_STREAM_MS + 1)
  stand.tunnel.route.sweep()
  await exchange(alice, stream, get('/alice'), answer('200 OK', 'alice'))
  // A request that must not be done twice takes it as well: it is nobody else's.
  await exchange(
    alice,
    stream,
    'POST /post HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 0\r\n\r\n',
    answer('200 OK', 'alice'),
  )
  expect([stand.tunnel.streams.length, stream.state, others.received.includes('alice')]).toEqual([2, 'open', false])
})

test.each<[how: string, end: (browser: Browser) => unknown]>([
  ['is reset', ({ socket }) => socket.resetAndDestroy()],
  ['is closed', ({ socket }) => socket.end()],
])('the stream ends with its connection, when that %s', async (_how, end) => {
  const stand = await standWith()
  const [alice, stream] = await signedIn(stand)
  end(alice)
  await stream.until(({ state }) => state === 'reset')
  expect([stand.tunnel.open, stand.tunnel.route.users.size]).toEqual([0, 0])
})

test('it ends with a connection that is idle for too long, or that a drain ends', async () => {
  const stand = await standWith()
  const [, first] = await signedIn(stand)
  stand.pass(2 * VISITOR_IDLE_MS)
  await first.until(({ state }) => state === 'reset')
  const [, second] = await signedIn(stand)
  void stand.listener.drain(60_000)
  await second.until(({ state }) => state === 'reset')
})

test('a 401 on a stream that another visitor has used before makes it this visitor’s', async () => {
  const stand = await standWith()
  const bob = new Browser(stand.port)
  const shared = await exchange(bob, stand.tunnel.stream(0), get('/bob'), answer('200 OK', 'nobody'))
  const alice = new Browser(stand.port)
  await exchange(alice, shared, get('/offer'), OFFER)
  await exchange(bob, stand.tunnel.stream(1), get('/again'), answer('200 OK', 'nobody'))
  await exchange(alice, shared, get('/negotiate', NEGOTIATE), CHALLENGE)
  expect(stand.tunnel.streams).toHaveLength(2)
})

test('a request with a sign-in takes a fresh stream, and one that is not bound to a connection any', async () => {
  const stand = await standWith()
  const bob = new Browser(stand.port)
  const shared = await exchange(bob, stand.tunnel.stream(0), get('/bob'), answer('200 OK', 'nobody'))
  const alice = new Browser(stand.port)
  await exchange(
    alice,
    stand.tunnel.stream(1),
    get('/negotiate', 'Authorization: Negotiate YII=\r\n'),
    answer('200 OK', 'alice'),
  )
  const basic = new Browser(stand.port)
  await exchange(basic, shared, get('/basic', 'Authorization: Basic eDp5\r\n'), answer('200 OK', 'basic'))
  await exchange(
    bob,
    shared,
    get('/offered', 'Authorization: Bearer ntlm\r\n'),
    answer('401 Unauthorized', 'no', 'WWW-Authenticate: Basic realm="ntlm, negotiate"\r\n'),
  )
  await exchange(basic, shared, get('/shared'), answer('200 OK', 'basic'))
  expect(stand.tunnel.streams).toHaveLength(2)
})

test('pipelined requests of a connection that signs in take its stream, one after the other', async () => {
  const stand = await standWith()
  const alice = new Browser(stand.port).send(get('/1', NEGOTIATE) + get('/2', AUTHENTICATE) + get('/3'))
  const stream = await stand.tunnel.stream(0)
  for (const path of ['/1', '/2', '/3']) {
    await stream.until(({ received }) => received.includes(` ${path} `))
    stream.answer(answer('200 OK', path))
    await alice.until(({ text }) => text.endsWith(path))
  }
  expect(stand.tunnel.streams).toHaveLength(1)
})

test.each<[what: string, said: string]>([
  ['says close', answer('200 OK', 'alice', 'Connection: close\r\n')],
  ['sends more than the response', `${answer('200 OK', 'alice')}HTTP/1.1 200 OK\r\n\r\n`],
  ['answers without a length', 'HTTP/1.1 200 OK\r\n\r\nalice'],
])('a stream with a sign-in is not used again when the local server %s', async (_what, said) => {
  const stand = await standWith()
  const alice = new Browser(stand.port).send(get('/negotiate', NEGOTIATE))
  const stream = await stand.tunnel.stream(0)
  stream.answer(said)
  if (said.includes('HTTP/1.1 200 OK\r\n\r\nalice')) stream.endLocally()
  await alice.until(({ text }) => text.includes('alice'))
  const bob = new Browser(stand.port)
  await exchange(bob, stand.tunnel.stream(1), get('/bob'), answer('200 OK', 'nobody'))
})

test.each<[what: string, act: (stream: TunnelStream) => void]>([
  ['ends it', (stream) => stream.endLocally()],
  ['resets it', (stream) => stream.resetLocally()],
  ['speaks unasked', (stream) => stream.answer('HTTP/1.1 408 Request Timeout\r\n\r\n')],
])('a stream with a sign-in that rests is gone when the local server %s', async (_what, act) => {
  const stand = await standWith()
  const [alice, stream] = await signedIn(stand)
  act(stream)
  expect([stand.tunnel.open, stand.tunnel.route.users.size]).toEqual([0, 0])
  await exchange(alice, stand.tunnel.stream(1), get('/next'), OFFER)
})

test('a stream with a sign-in that fails as it is used again is replaced by a fresh one, and nobody gets the former', async () => {
  const stand = await standWith()
  const [alice, stream] = await signedIn(stand)
  const bob = new Browser(stand.port)
  await exchange(bob, stand.tunnel.stream(1), get('/bob'), answer('200 OK', 'nobody'))
  alice.send(get('/stale'))
  await stream.until(({ received }) => received.includes('/stale'))
  stream.endLocally()
  const fresh = await stand.tunnel.stream(2)
  expect(fresh.received).toContain('GET /stale ')
  fresh.answer(OFFER)
  await alice.until(({ text }) => text.endsWith('who?'))
  expect(stand.retries).toContain(1)
})

test('of several channels of a name the visitor keeps the one where it has signed in', async () => {
  const tunnels = [new ScriptedTunnel(9), new ScriptedTunnel(9)] as const
  let turn = 0
  const { port } = await startPublicStand({ find: () => tunnels[turn++ % 2]!.route })
  const alice = new Browser(port)
  const stream = await exchange(alice, tunnels[0].stream(0), get('/offer'), OFFER)
  await exchange(alice, stream, get('/negotiate', NEGOTIATE), CHALLENGE)
  await exchange(alice, stream, get('/authenticate', AUTHENTICATE), answer('200 OK', 'alice'))
  expect([tunnels[0].streams.length, tunnels[1].streams.length]).toEqual([1, 0])
})

test('a request for another name ends it, even on the same channel', async () => {
  const stand = await standWith()
  const other = new ScriptedTunnel(9)
  const { port } = await startPublicStand({
    find: (host) => (host === 'demo.example.com' ? stand.tunnel.route : other.route),
  })
  const [alice, stream] = await signedIn({ ...stand, port })
  await exchange(alice, other.stream(0), get('/x').replace('demo', 'other'), answer('200 OK', 'other'))
  expect([stream.state, stand.tunnel.open]).toEqual(['reset', 0])
})

test('a channel that takes no more requests ends it, so that its agent can leave', async () => {
  const stand = await standWith()
  const [alice, stream] = await signedIn(stand)
  stand.tunnel.route.retire()
  expect([stream.state, stand.tunnel.open]).toEqual(['reset', 0])
  await exchange(alice, stand.tunnel.stream(1), get('/next'), OFFER)
  // Whose response comes when the channel is retired already rests nowhere.
  expect(stand.tunnel.open).toBe(0)
})

test('an idle stream with a sign-in is evicted for another visitor, and its connection goes on', async () => {
  const stand = await standWith(1)
  const [alice, stream] = await signedIn(stand)
  const bob = new Browser(stand.port).send(get('/bob'))
  await expect.poll(() => stand.tunnel.route.queue.size).toBe(1)
  stand.pass(SLOW_VISITOR_MS)
  stand.tunnel.route.sweep()
  const fresh = await stand.tunnel.stream(1)
  fresh.answer(answer('200 OK', 'nobody'))
  await bob.until(({ text }) => text.endsWith('nobody'))
  expect([stream.state, stand.tunnel.open, stand.tunnel.route.users.size]).toEqual(['reset', 1, 0])
  await exchange(alice, fresh, get('/next'), OFFER)
})

test('over HTTP/2 a request with a sign-in is not sent; the visitor is to repeat it over HTTP/1.1', async () => {
  const stand = await standWith()
  const session = visit(stand.port)
  const request = new SeenRequest(session, { authorization: 'Negotiate YII=' })
  await request.closed
  expect(request.stream.rstCode).toBe(13)
  expect([stand.tunnel.streams.length, stand.recorded]).toEqual([0, ['HTTP/2.0 0 refused connection-sign-in']])
})

test('over HTTP/2 a 401 that offers a sign-in is not passed on; another request of the connection is served', async () => {
  const stand = await standWith()
  const session = visit(stand.port)
  const offered = new SeenRequest(session, { ':path': '/offer' })
  const stream = await stand.tunnel.stream(0)
  stream.answer(OFFER)
  await offered.closed
  expect([offered.stream.rstCode, offered.status, stream.state]).toEqual([13, undefined, 'reset'])
  const next = new SeenRequest(session, { ':path': '/next' })
  ;(await stand.tunnel.stream(1)).answer(answer('200 OK', 'ok'))
  await next.closed
  expect(next.status).toBe(200)
})
