/** Requests whose stream goes to another visitor: which, what their visitors see, and that they do not take it back. */
import { TunnelFault } from '@postern/protocol/fault'
import { IDLE_EXCHANGE_MS, SLOW_UPLOAD_BYTES_PER_SECOND, SLOW_VISITOR_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, until, visit } from '../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { ScriptedTunnel } from '../testing/scripted-tunnel.ts'

const CROWD = '127.0.0.2'
const OTHER_CROWD = '127.0.0.3'
const GUEST = '127.0.0.4'
const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n${more}\r\n`
const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const RESTARTING = '\x88\x02\x03\xf4'
const EVENTS = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A tunnel of so many streams, by a clock that the test moves on. */
async function standWith(ceiling: number) {
  let ahead = 0
  const tunnel = new ScriptedTunnel(ceiling, () => performance.now() + ahead)
  const stand = await startPublicStand(toDemo(tunnel.route))
  const pass = (ms: number): void => {
    ahead += ms
    stand.wait(ms)
  }
  const queued = (size: number) => expect.poll(() => tunnel.route.queue.size).toBe(size)
  return { ...stand, tunnel, pass, queued }
}

type Stand = Awaited<ReturnType<typeof standWith>>

/** A request of that visitor that has its stream, and what the local server says on it. */
async function sent({ port, tunnel }: Stand, address: string, request: string, answer = ''): Promise<Browser> {
  const index = tunnel.streams.length
  const browser = new Browser(port, address).send(request)
  const stream = await tunnel.stream(index)
  if (answer === '') return browser
  stream.answer(answer)
  return browser.until(({ text }) => text.length >= answer.length)
}

async function served({ port, tunnel }: Stand, address: string): Promise<Browser> {
  const index = tunnel.streams.length
  const browser = new Browser(port, address).send(get('/guest'))
  const stream = await tunnel.stream(index)
  stream.answer(OK)
  return browser.until(({ text }) => text.endsWith('ok'))
}

test('a crowd whose requests are pipelined loses the connection, so that the next request does not take the stream back', async () => {
  const stand = await standWith(2)
  const crowd = [await sent(stand, CROWD, get('/hang').repeat(50)), await sent(stand, CROWD, get('/hang').repeat(50))]
  stand.pass(SLOW_VISITOR_MS)
  const guest = new Browser(stand.port, GUEST).send(get('/guest'))
  await stand.queued(1)
  stand.tunnel.route.sweep()
  // The queue alone is tried first: the newcomer has not waited yet.
  expect(stand.tunnel.streams).toHaveLength(2)
  stand.pass(SLOW_VISITOR_MS)
  stand.tunnel.route.sweep()
  const stream = await stand.tunnel.stream(2)
  expect(stream.received).toContain('/guest')
  await crowd[0]!.until(({ ended }) => ended)
  expect(crowd[0]!.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*streams-exhausted[\s\S]*\r\nConnection: close\r\n/)
  stream.answer(OK)
  await guest.until(({ text }) => text.endsWith('ok'))
  // The stream is kept, and serves those that come.
  for (let n = 0; n < 5; n++) {
    const next = new Browser(stand.port, GUEST).send(get('/next'))
    await stream.until(({ received }) => received.split('/next').length === n + 2)
    stream.answer(OK)
    await next.until(({ text }) => text.endsWith('ok'))
  }
  expect([stand.tunnel.streams.length, crowd[1]!.ended]).toEqual([3, false])
})

test('requests of two addresses that hang share with a third', async () => {
  const stand = await standWith(4)
  for (const address of [CROWD, CROWD, OTHER_CROWD, OTHER_CROWD]) {
    await sent(stand, address, get('/hang'))
    stand.pass(SLOW_VISITOR_MS)
  }
  new Browser(stand.port, GUEST).send(get('/guest'))
  await stand.queued(1)
  stand.pass(SLOW_VISITOR_MS)
  stand.tunnel.route.sweep()
  expect((await stand.tunnel.stream(4)).received).toContain('/guest')
  expect(stand.tunnel.streams.map(({ state }) => state)).toEqual(['reset', 'open', 'open', 'open', 'open'])
  // An address that has half as many as the largest crowd waits like everybody.
  new Browser(stand.port, GUEST).send(get('/more'))
  await stand.queued(1)
  stand.pass(SLOW_VISITOR_MS)
  stand.tunnel.route.sweep()
  await stand.queued(1)
})

test('of idle WebSockets the one that has been idle the longest is evicted, with a Close frame', async () => {
  const stand = await standWith(2)
  const lively = await sent(stand, CROWD, get('/ws', WEBSOCKET), UPGRADED)
  const idle = await sent(stand, OTHER_CROWD, get('/ws', WEBSOCKET), UPGRADED)
  stand.pass(IDLE_EXCHANGE_MS - 1000)
  stand.tunnel.streams[0]!.answer('\x81\x02hi')
  await lively.until(({ text }) => text.endsWith('hi'))
  stand.pass(1000)
  await served(stand, GUEST)
  await idle.until(({ text, ended }) => text.endsWith(RESTARTING) && ended)
  expect([lively.ended, stand.tunnel.streams[0]!.state]).toEqual([false, 'open'])
})

test.each([
  ['with a next request behind it', get('/events') + get('/next'), false],
  ['whose visitor has ended its writing', get('/events'), true],
  ['whose request goes on', 'POST /events HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 9\r\n\r\nx', false],
  [
    'whose visitor waits for a 100 Continue',
    `${get('/events', 'Expect: 100-continue\r\nContent-Length: 9\r\n').replace('GET', 'POST')}`,
    false,
  ],
])('an event stream %s is evicted for another visitor', async (_what, request, ends) => {
  const stand = await standWith(1)
  const silent = await sent(stand, CROWD, request, EVENTS)
  if (ends) silent.socket.end()
  if (ends) await stand.tunnel.streams[0]!.until(({ state }) => state === 'ended')
  stand.pass(IDLE_EXCHANGE_MS)
  await served(stand, GUEST)
  await silent.until(({ closed, ended, error }) => closed || ended || error !== undefined)
  expect(stand.tunnel.streams[0]!.state).toBe('reset')
})

test('bytes of the visitor keep a WebSocket', async () => {
  const stand = await standWith(2)
  const quiet = await sent(stand, CROWD, get('/ws', WEBSOCKET), UPGRADED)
  const lively = await sent(stand, OTHER_CROWD, get('/ws', WEBSOCKET), UPGRADED)
  stand.pass(IDLE_EXCHANGE_MS - 1000)
  lively.send('\x81\x82maskxx')
  await stand.tunnel.streams[1]!.until(({ received }) => received.endsWith('xx'))
  stand.pass(1000)
  await served(stand, GUEST)
  await quiet.until(({ ended }) => ended)
  expect(lively.ended).toBe(false)
})

test('bytes of the visitor keep an upload', async () => {
  const stand = await standWith(2)
  const piece = 'x'.repeat(2 * SLOW_UPLOAD_BYTES_PER_SECOND * (IDLE_EXCHANGE_MS / 1000))
  const upload = `POST /p HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: ${9 * piece.length}\r\n\r\n${piece}`
  const [lively, quiet] = [await sent(stand, CROWD, upload), await sent(stand, OTHER_CROWD, upload)]
  for (const stream of stand.tunnel.streams) await stream.until(({ received }) => received.endsWith(piece))
  stand.pass(IDLE_EXCHANGE_MS - 1000)
  lively.send('!')
  await stand.tunnel.streams[0]!.until(({ received }) => received.endsWith('!'))
  stand.pass(1000)
  await served(stand, GUEST)
  await quiet.until(({ ended }) => ended)
  expect(lively.ended).toBe(false)
})

test('another upgrade, and a WebSocket in the middle of a frame, are cut', async () => {
  const stand = await standWith(2)
  const echo = await sent(
    stand,
    CROWD,
    get('/', 'Connection: Upgrade\r\nUpgrade: echo\r\n'),
    UPGRADED.replace('websocket', 'echo'),
  )
  const half = await sent(stand, OTHER_CROWD, get('/ws', WEBSOCKET), `${UPGRADED}\x81\x05he`)
  for (const browser of [echo, half]) {
    stand.pass(IDLE_EXCHANGE_MS)
    await served(stand, GUEST)
    await browser.until(({ error }) => error?.code === 'ECONNRESET')
    // The newcomer's own stream rests in the pool; it goes for the next.
    stand.tunnel.ceiling -= 1
  }
  expect(half.text).not.toContain(RESTARTING)
})

test('event streams that send nothing are evicted, by HTTP/1 and by HTTP/2', async () => {
  const stand = await standWith(2)
  const first = await sent(stand, CROWD, get('/events'), EVENTS)
  const second = new SeenRequest(visit(stand.port), { ':path': '/events' })
  ;(await stand.tunnel.stream(1)).answer(EVENTS)
  await until(() => second.text !== '')
  stand.pass(IDLE_EXCHANGE_MS - 1000)
  stand.tunnel.streams[1]!.answer('data: 2\n\n')
  await until(() => second.text.includes('data: 2'))
  stand.pass(1000)
  await served(stand, GUEST)
  await first.until(({ error }) => error?.code === 'ECONNRESET')
  expect(second.ended).toBe(false)
  stand.tunnel.ceiling = 1
  stand.pass(IDLE_EXCHANGE_MS)
  await served(stand, GUEST)
  await second.closed
  expect([second.ended, stand.recorded.filter((line) => line.includes('cut'))]).toEqual([
    false,
    ['HTTP/1.1 200 cut streams-exhausted', 'HTTP/2.0 200 cut streams-exhausted'],
  ])
})

test('a request that the node with the tunnel evicts loses its connection here', async () => {
  const failure = { fault: new TunnelFault('streams-exhausted'), unsent: false, next: 'nowhere' as const }
  const route = new ScriptedRoute(() => ({ failure }))
  const { port } = await startPublicStand(toDemo(route))
  const browser = new Browser(port, CROWD).send(get('/hang').repeat(2))
  const { stream } = await route.leased(0)
  stream.listener!.reset(new TunnelFault('stream-reset'))
  await browser.until(({ ended }) => ended)
  expect(browser.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*streams-exhausted[\s\S]*\r\nConnection: close\r\n/)
  expect(route.leases).toHaveLength(1)
})

test('an upload that waited for its stream is not slow for that', async () => {
  const stand = await standWith(1)
  const first = await sent(stand, CROWD, get('/hang'))
  const upload = new Browser(stand.port, GUEST).send(
    'POST /p HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 9\r\n\r\n',
  )
  await stand.queued(1)
  stand.pass(2 * SLOW_VISITOR_MS)
  stand.tunnel.route.sweep()
  await first.until(({ ended }) => ended)
  const stream = await stand.tunnel.stream(1)
  new Browser(stand.port, OTHER_CROWD).send(get('/next'))
  await stand.queued(1)
  expect([stream.state, upload.text]).toEqual(['open', ''])
})

test('a visitor by HTTP/2 that has an interim response and waits for the final one keeps nobody waiting', async () => {
  const stand = await standWith(1)
  const seen = new SeenRequest(visit(stand.port), {})
  const stream = await stand.tunnel.stream(0)
  stream.answer('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
  await until(() => seen.interim.length > 0)
  stand.pass(2 * SLOW_VISITOR_MS)
  new Browser(stand.port, GUEST).send(get('/guest'))
  await stand.queued(1)
  expect(stream.state).toBe('open')
})

test('a visitor that waits for a 100 keeps nobody waiting, and its upload is measured from there', async () => {
  const stand = await standWith(1)
  const upload = 'POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n'
  const browser = await sent(stand, CROWD, upload)
  const stream = stand.tunnel.streams[0]!
  const [user] = stand.tunnel.route.users
  stand.pass(2 * SLOW_VISITOR_MS)
  new Browser(stand.port, GUEST).send(get('/guest'))
  await stand.queued(1)
  stream.answer('HTTP/1.1 100 Continue\r\n\r\n')
  await browser.until(({ text }) => text.includes(' 100 '))
  stand.tunnel.route.sweep()
  expect([stream.state, user!.slowFor < SLOW_VISITOR_MS]).toEqual(['open', true])
  stand.pass(SLOW_VISITOR_MS)
  expect(user!.slowFor).toBeGreaterThanOrEqual(SLOW_VISITOR_MS)
})

test('a visitor that expects a 100 and sends without it is measured from its head on', async () => {
  const stand = await standWith(1)
  const upload = 'POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nh'
  await sent(stand, CROWD, upload)
  await stand.tunnel.streams[0]!.until(({ received }) => received.endsWith('h'))
  const [user] = stand.tunnel.route.users
  stand.pass(SLOW_VISITOR_MS)
  expect(user!.slowFor).toBeGreaterThanOrEqual(SLOW_VISITOR_MS)
})

test('what gave its stream up is no longer among those that have one', async () => {
  const stand = await standWith(3)
  const { users } = stand.tunnel.route
  const browser = await sent(stand, CROWD, get('/ws', WEBSOCKET), UPGRADED)
  await sent(stand, CROWD, get('/hang'))
  expect(users.size).toBe(2)
  for (const user of users) user.evict(new TunnelFault('streams-exhausted'))
  expect(users.size).toBe(0)
  await browser.until(({ ended }) => ended)
  await expect.poll(() => stand.tunnel.open).toBe(0)
})
