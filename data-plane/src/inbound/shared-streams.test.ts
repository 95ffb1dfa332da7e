/** Which streams to a local server carry a further request, and which requests take a stream that another visitor has used. */
import { FRESH_ENOUGH_MS, UNREAD_REQUEST_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, visit } from '../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedTunnel } from '../testing/scripted-tunnel.ts'

const request = (method: string, path: string, body?: string) =>
  `${method} ${path} HTTP/1.1\r\nHost: demo.example.com\r\n${body === undefined ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body ?? ''}`
const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`

async function standWith() {
  let ahead = 0
  const tunnel = new ScriptedTunnel(256, () => performance.now() + ahead)
  const stand = await startPublicStand(toDemo(tunnel.route))
  const wait = (ms: number): void => {
    ahead += ms
    stand.wait(ms)
  }
  return { ...stand, tunnel, wait }
}

type Stand = Awaited<ReturnType<typeof standWith>>

/** The stream of that index carries the request, which the local server answers once it has come whole. Of HEAD, a response without body. */
async function carried({ tunnel }: Stand, index: number, text: string, path: string, head = false): Promise<void> {
  const stream = await tunnel.stream(index)
  await stream.until(({ received }) => received.includes(` ${path} `) && received.endsWith(text.slice(-4)))
  stream.answer(head ? ok(path).replace(/\/.*$/, '') : ok(path))
}

async function exchange(stand: Stand, browser: Browser, index: number, text: string): Promise<void> {
  const [method, path] = text.split(' ') as [string, string]
  const before = browser.text.length
  browser.send(text)
  await carried(stand, index, text, path, method === 'HEAD')
  await browser.until(({ text: seen }) => seen.length > before && seen.endsWith(method === 'HEAD' ? '\r\n\r\n' : path))
}

const SMUGGLED = 'GET /evil HTTP/1.1\r\nHost: x\r\nX-Swallow: '

test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])(
  'the stream of a %s with a body, which servers leave unread, carries no further request',
  async (method) => {
    const stand = await standWith()
    const attacker = new Browser(stand.port)
    await exchange(stand, attacker, 0, request(method, '/a', SMUGGLED))
    const victim = new Browser(stand.port)
    await exchange(stand, victim, 1, request('GET', '/victim'))
    expect(stand.tunnel.streams[0]!.received).not.toContain('/victim')
    // Without a body it does.
    await exchange(stand, attacker, 1, request(method, '/b'))
  },
)

test('the body of such a request may have no length, and come by HTTP/2', async () => {
  const stand = await standWith()
  const chunked = `GET /a HTTP/1.1\r\nHost: demo.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n`
  await exchange(stand, new Browser(stand.port), 0, chunked)
  const session = visit(stand.port)
  const byHttp2 = new SeenRequest(session, { ':method': 'GET', ':path': '/b' }, SMUGGLED)
  await carried(stand, 1, '\r\n\r\n', '/b')
  await byHttp2.closed
  await exchange(stand, new Browser(stand.port), 2, request('GET', '/victim'))
})

test('the stream of a POST with a body is kept: its body is read', async () => {
  const stand = await standWith()
  await exchange(stand, new Browser(stand.port), 0, request('POST', '/a', 'body'))
  await exchange(stand, new Browser(stand.port), 0, request('GET', '/b'))
})

test.each(['POST', 'PATCH', 'LOCK', 'get'])(
  'a visitor’s first %s takes no stream that another visitor has used, its second may',
  async (method) => {
    const stand = await standWith()
    await exchange(stand, new Browser(stand.port), 0, request('GET', '/other'))
    const visitor = new Browser(stand.port)
    await exchange(stand, visitor, 1, request(method, '/first', '1234'))
    // The one that was used last.
    await exchange(stand, visitor, 1, request(method, '/second', '1234'))
    const another = new Browser(stand.port)
    await exchange(stand, another, 1, request('GET', '/get'))
    await exchange(stand, another, 1, request(method, '/after-get', '1234'))
    stand.wait(FRESH_ENOUGH_MS + 1)
    await exchange(stand, another, 2, request(method, '/later', '1234'))
  },
)

test.each(['GET', 'PUT', 'DELETE'])('a visitor’s first %s takes any stream: it can be sent again', async (method) => {
  const stand = await standWith()
  await exchange(stand, new Browser(stand.port), 0, request('GET', '/other'))
  await exchange(stand, new Browser(stand.port), 0, request(method, '/first'))
})

test('over HTTP/2 it is the first of the connection, whatever the number of its streams', async () => {
  const stand = await standWith()
  await exchange(stand, new Browser(stand.port), 0, request('GET', '/other'))
  const session = visit(stand.port)
  for (const [index, path] of [
    [1, '/first'],
    [1, '/second'],
  ] as const) {
    const post = new SeenRequest(session, { ':method': 'POST', ':path': path }, 'body')
    await carried(stand, index, '0\r\n\r\n', path)
    await post.closed
    expect(post.text).toBe(path)
  }
})

test('a request that was refused before it was sent is not the first', async () => {
  const stand = await standWith()
  await exchange(stand, new Browser(stand.port), 0, request('GET', '/other'))
  const visitor = new Browser(stand.port).send('GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n')
  await visitor.until(({ text }) => text.includes('tunnel-not-found'))
  await exchange(stand, visitor, 1, request('POST', '/first', '1234'))
})

test('a local server that has answered early is left to read the rest, and its stream carries nothing further', async () => {
  const stand = await standWith()
  const visitor = new Browser(stand.port).send(
    'POST /p HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 6\r\n\r\nabc',
  )
  const stream = await stand.tunnel.stream(0)
  await stream.until(({ received }) => received.endsWith('abc'))
  stream.answer(ok('early'))
  await visitor.until(({ text }) => text.endsWith('early'))
  visitor.send('def')
  await stream.until(({ received, state }) => received.endsWith('abcdef') && state === 'ended')
  stand.tunnel.route.sweep()
  expect(stream.state).toBe('ended')
  await exchange(stand, new Browser(stand.port), 1, request('GET', '/next'))
  stand.wait(UNREAD_REQUEST_MS)
  stand.tunnel.route.sweep()
  expect(stream.state).toBe('reset')
})
