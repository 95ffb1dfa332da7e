import { once } from 'node:events'
import { connect } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import {
  BODY_IDLE_MS,
  FIRST_BYTE_MS,
  HEAD_TIMEOUT_MS,
  ORIGIN_FIRST_BYTE_MS,
  PAUSED_PROBE_MS,
  SLOW_UPLOAD_BYTES_PER_SECOND,
  SLOW_VISITOR_MS,
  SWEEP_MS,
  UNREAD_REQUEST_MS,
  UPGRADE_END_MS,
} from '@postern/protocol/limits'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { type StandOptions, startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { PausedProbe } from './paused-probe.ts'
import { VisitorCeilings } from './visitor-ceilings.ts'

const serve = (route: ScriptedRoute, options?: StandOptions) => startPublicStand(toDemo(route), options)

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n${more}\r\n`
const post = (body: string) =>
  `POST /p HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const ok = (body: string, more = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`
const lost = () => new TunnelFault('stream-reset')

test('a request reaches the local server and its response the visitor', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/a?b=c', 'X-Own: 1\r\nX-Forwarded-For: 6.6.6.6\r\n'))
  const { stream } = await route.leased(0)
  expect(stream.received).toMatch(/^GET \/a\?b=c HTTP\/1\.1\r\n/)
  expect(stream.received).toContain('X-Own: 1\r\n')
  expect(stream.received).toContain('X-Forwarded-For: 127.0.0.1\r\n')
  expect(stream.received).not.toContain('6.6.6.6')
  stream.answer(ok('hello', 'X-Origin: yes\r\n'))
  await browser.until(({ text }) => text.endsWith('hello'))
  expect(browser.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(browser.text).toContain('X-Origin: yes\r\n')
})

test('a stream goes back to the pool after a whole exchange, for a second less than the local server says', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  const first = await route.leased(0)
  first.stream.answer(ok('x', 'Keep-Alive: timeout=3\r\n'))
  await browser.until(({ text }) => text.endsWith('x'))
  expect(first.kept).toBe(2000)
  expect(first.stream.consumed).toBe(ok('x', 'Keep-Alive: timeout=3\r\n').length)
})

test.each([
  ['the local server says close', ok('x', 'Connection: close\r\n')],
  ['something follows the response', `${ok('x')}HTTP/1.1 200 OK\r\n\r\n`],
])('a stream is let go when %s', async (_why, answer) => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  const lease = await route.leased(0)
  lease.stream.answer(answer)
  await browser.until(({ text }) => /\r\n\r\nx$/.test(text))
  expect(lease).toMatchObject({ kept: undefined, left: true })
})

test('a kept stream that fails before a byte of the response is replaced once by a fresh one', async () => {
  const route = new ScriptedRoute((index) => ({ reused: index === 0 }))
  const { port, counted } = await serve(route)
  const browser = new Browser(port).send(get('/again'))
  const stale = await route.leased(0)
  stale.stream.listener?.end()
  const fresh = await route.leased(1)
  expect(fresh.freshness).toBe('fresh')
  expect(fresh.stream.received).toBe(stale.stream.received)
  fresh.stream.answer(ok('second'))
  await browser.until(({ text }) => text.endsWith('second'))
  expect(counted).toEqual(['request', 'sent again: 1'])
})

test('a POST is never sent a second time, unless the agent reports that not a byte of it arrived', async () => {
  const lostPost = new ScriptedRoute(() => ({ reused: true }))
  const first = await serve(lostPost)
  const unlucky = new Browser(first.port).send(get('/before'))
  const before = await lostPost.leased(0)
  before.stream.answer(ok('before'))
  await unlucky.until(({ text }) => text.endsWith('before'))
  unlucky.send(post('payload'))
  const lease = await lostPost.leased(1)
  expect(lease.freshness).toBe('young')
  await lease.stream.until(({ received }) => received.endsWith('payload'))
  lease.stream.listener?.reset(lost())
  await unlucky.until(({ text }) => text.includes('origin-closed'))
  expect(lostPost.leases).toHaveLength(2)

  const failure = { fault: new TunnelFault('origin-closed'), unsent: true }
  const unsentPost = new ScriptedRoute((index) => (index === 0 ? { reused: true, failure } : {}))
  const second = await serve(unsentPost)
  const lucky = new Browser(second.port).send(post('payload'))
  const stale = await unsentPost.leased(0)
  await stale.stream.until(({ received }) => received.endsWith('payload'))
  stale.stream.listener?.reset(lost())
  const fresh = await unsentPost.leased(1)
  expect(fresh.stream.received).toBe(stale.stream.received)
  fresh.stream.answer(ok('done'))
  await lucky.until(({ text }) => text.endsWith('done'))
})

test('what the agent says of a stream is what the visitor is told', async () => {
  const failure = { fault: new TunnelFault('origin-refused'), unsent: true }
  const route = new ScriptedRoute(() => ({ failure }))
  const { port, faults } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  const { stream } = await route.leased(0)
  stream.listener?.reset(lost())
  await browser.until(({ text }) => text.includes('tunnel-error: origin-refused'))
  expect(browser.text).toMatch(/^HTTP\/1\.1 502 /)
  expect(faults).toEqual(['origin-refused'])
})

test.each<[what: string, request: string, answer: string | undefined, counted: string[]]>([
  ['an answer of the local server', get('/'), ok('fine'), ['request']],
  ['no tunnel', 'GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n', undefined, ['request', 'tunnel-not-found']],
  ['an answer that is none', get('/'), 'what?\r\n\r\n', ['request', 'origin-invalid']],
  ['no request at all', 'nonsense\r\n\r\n', undefined, ['request-invalid']],
  ['an answer that is cut', get('/'), 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', ['request', 'origin-closed']],
])('a request is counted, and a fault by its code, once: %s', async (_what, request, answer, wanted) => {
  const route = new ScriptedRoute()
  const { port, counted } = await serve(route)
  const browser = new Browser(port).send(request)
  if (answer !== undefined) {
    const { stream } = await route.leased(0)
    stream.answer(answer)
    await browser.until(({ text }) => text !== '')
    if (answer.endsWith('half')) stream.listener?.end()
  }
  browser.socket.end()
  await browser.until(({ ended, socket }) => ended || socket.destroyed)
  expect(counted).toEqual(wanted)
})

test('a connection goes on after our own answer when the request was read to its end', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send('GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n').send(get('/next'))
  await browser.until(({ text }) => text.includes('tunnel-error: tunnel-not-found'))
  const { stream } = await route.leased(0)
  stream.answer(ok('next'))
  await browser.until(({ text }) => text.endsWith('next'))
})

test('a response that breaks off is cut for the visitor, never ended', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
  await browser.until(({ text }) => text.endsWith('half'))
  stream.listener?.end()
  await browser.until(({ socket }) => socket.destroyed)
  expect(browser.error?.code).toBe('ECONNRESET')
  expect(stream.state).toBe('reset')
})

test('a response that only the close delimits comes in chunks, and the connection goes on', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  const lease = await route.leased(0)
  lease.stream.answer('HTTP/1.0 200 OK\r\nX-Origin: yes\r\n\r\n')
  await browser.until(({ text }) => text.endsWith('\r\n\r\n'))
  expect(browser.text).toContain('Transfer-Encoding: chunked\r\n')
  expect(browser.text).not.toMatch(/^connection:/im)
  lease.stream.answer('0\r\n\r\n')
  lease.stream.answer('x'.repeat(100_000))
  await browser.until(({ text }) => text.endsWith('x\r\n'))
  lease.stream.listener?.end()
  await browser.until(({ text }) => text.endsWith('\r\n0\r\n\r\n'))
  expect(browser.text.split('\r\n\r\n').slice(1).join('|')).toBe(`5\r\n0|\r\n186a0\r\n${'x'.repeat(100_000)}\r\n0|`)
  expect(lease).toMatchObject({ kept: undefined, left: true })
  browser.send(get('/next'))
  await route.leased(1)
})

test('a response that only the close delimits and that is cut has no last chunk', async () => {
  const route = new ScriptedRoute()
  const { port, faults } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\n\r\nhalf')
  await browser.until(({ text }) => text.endsWith('half\r\n'))
  stream.listener?.reset(lost())
  await browser.until(({ socket }) => socket.destroyed)
  expect(browser.text).toMatch(/4\r\nhalf\r\n$/)
  expect(faults).toEqual(['origin-closed'])
})

test('a visitor of HTTP/1.0 gets a response that only the close delimits as it is, and its end by the close', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send('GET / HTTP/1.0\r\nHost: demo.example.com\r\nConnection: keep-alive\r\n\r\n')
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\n\r\nall of it')
  stream.listener?.end()
  await browser.until(({ ended }) => ended)
  expect(browser.text).toMatch(/\r\nConnection: close\r\n\r\nall of it$/)
  expect(browser.text).not.toMatch(/^transfer-encoding:/im)
})

test('pipelined requests are answered in their order, one at a time', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/1') + post('two') + get('/3'))
  for (const [index, path] of ['/1', '/p', '/3'].entries()) {
    const { stream } = await route.leased(index)
    expect(route.leases).toHaveLength(index + 1)
    expect(stream.received.split(' ')[1]).toBe(path)
    stream.answer(ok(`answer ${index}`))
    await browser.until(({ text }) => text.endsWith(`answer ${index}`))
  }
})

test('an early response reaches the visitor while the rest of the request still goes on', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send('POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 6\r\n\r\nabc')
  const lease = await route.leased(0)
  await lease.stream.until(({ received }) => received.endsWith('abc'))
  lease.stream.answer(ok('early'))
  await browser.until(({ text }) => text.endsWith('early'))
  browser.send('def')
  await lease.stream.until(({ received }) => received.endsWith('abcdef'))
  expect(lease).toMatchObject({ kept: undefined, left: true })
  browser.send(get('/after'))
  await route.leased(1)
})

const halfSent = (version: string) => `POST / HTTP/${version}\r\nHost: demo.example.com\r\nContent-Length: 6\r\n\r\nabc`

test.each(['1.0', '1.1'])(
  'an early response is reset, not ended, when its visitor of HTTP/%s ends its writing inside the request',
  async (version) => {
    const route = new ScriptedRoute()
    const { port, recorded } = await serve(route)
    const browser = new Browser(port).send(halfSent(version))
    const { stream } = await route.leased(0)
    stream.answer('HTTP/1.1 200 OK\r\n\r\nfirst half')
    await browser.until(({ text }) => text.includes('first half'))
    browser.socket.end()
    await browser.until(({ ended, closed }) => ended || closed)
    expect(browser).toMatchObject({ ended: false, error: { code: 'ECONNRESET' } })
    expect(stream.state).toBe('reset')
    expect(recorded).toEqual([`HTTP/${version} 200 abandoned -`])
  },
)

test('an early response that is whole reaches a visitor that ends its writing inside the request', async () => {
  const route = new ScriptedRoute()
  const { port, recorded } = await serve(route)
  const browser = new Browser(port).send(halfSent('1.1'))
  browser.socket.pause()
  const { stream } = await route.leased(0)
  const body = 'x'.repeat(24 * 1024 * 1024)
  stream.answer(ok(body))
  browser.socket.end()
  browser.socket.resume()
  await browser.until(({ ended, closed }) => ended || closed)
  expect(browser.text.split('\r\n\r\n')[1] === body).toBe(true)
  expect(browser.error).toBeUndefined()
  expect(stream.state).toBe('reset')
  expect(recorded).toEqual(['HTTP/1.1 200 whole -'])
})

describe('a local server that has answered early and ended its writing', () => {
  const early = (route: ScriptedRoute, answer: string) => async (port: number, version: string) => {
    const browser = new Browser(port).send(halfSent(version))
    const lease = await route.leased(0)
    await lease.stream.until(({ received }) => received.endsWith('abc'))
    lease.stream.answer(answer)
    lease.stream.listener?.end()
    await browser.until(({ text }) => text.includes('early'))
    return { browser, lease }
  }

  test.each([
    ['of a length, by HTTP/1.1', ok('early'), '1.1'],
    ['of a length, by HTTP/1.0', ok('early'), '1.0'],
    ['that says close', ok('early', 'Connection: close\r\n'), '1.1'],
    ['that the close delimits, by HTTP/1.1', 'HTTP/1.1 200 OK\r\n\r\nearly', '1.1'],
    ['that the close delimits, by HTTP/1.0', 'HTTP/1.1 200 OK\r\n\r\nearly', '1.0'],
  ])('gets the rest of the upload behind an answer %s', async (_what, answer, version) => {
    const route = new ScriptedRoute()
    const { port, recorded } = await serve(route)
    const { browser, lease } = await early(route, answer)(port, version)
    await browser.until(({ ended }) => ended)
    browser.send('def')
    await lease.stream.until(({ received }) => received.endsWith('abcdef'))
    expect(lease).toMatchObject({ kept: undefined, left: true, stream: { state: 'open' } })
    expect(recorded).toEqual([`HTTP/${version} 200 whole -`])
  })

  test('is given up when the stream is reset, and the visitor keeps the answer', async () => {
    const route = new ScriptedRoute()
    const { port, recorded } = await serve(route)
    const { browser, lease } = await early(route, ok('early'))(port, '1.1')
    lease.stream.listener?.reset(lost())
    await browser.until(({ ended }) => ended)
    expect(browser).toMatchObject({ error: undefined })
    expect([lease.stream.state, recorded]).toEqual(['reset', ['HTTP/1.1 200 whole -']])
  })

  test('is given up in time, whatever the visitor still sends', async () => {
    const route = new ScriptedRoute()
    const { port, recorded, wait } = await serve(route)
    const { browser, lease } = await early(route, ok('early'))(port, '1.1')
    wait(UNREAD_REQUEST_MS / 2)
    browser.send('d')
    await lease.stream.until(({ received }) => received.endsWith('abcd'))
    wait(UNREAD_REQUEST_MS / 2 + 2 * SWEEP_MS)
    await lease.stream.until(({ state }) => state === 'reset')
    expect(browser).toMatchObject({ ended: true, error: undefined })
    expect([lease.stream.state, recorded]).toEqual(['reset', ['HTTP/1.1 200 whole -']])
  })
})

describe('a visitor of whose connection nothing is read', () => {
  /** More than a paused socket takes up before it stops reading. */
  const FILLER = 'x'.repeat(1024 * 1024)
  const upgrade = get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

  async function paused(what: 'upload' | 'WebSocket' | 'pipelined request') {
    const route = new ScriptedRoute()
    const stand = await serve(route)
    const browser = new Browser(stand.port)
    browser.send(
      what === 'WebSocket' ? upgrade : what === 'upload' ? halfSent('1.1').replace('6', '9999999') : get('/'),
    )
    const { stream } = await route.leased(0)
    if (what === 'WebSocket') {
      stream.answer(switching)
      await browser.until(({ text }) => text.includes('101'))
    }
    const write = stream.write.bind(stream)
    stream.write = (chunk) => write(chunk) && false
    await new Promise((resolve) => browser.socket.write(FILLER, resolve))
    if (what !== 'pipelined request') await stream.until(({ received }) => received.endsWith('x'))
    return { ...stand, browser, stream }
  }

  test.each(['upload', 'WebSocket', 'pipelined request'] as const)('is gone after a reset (%s)', async (what) => {
    const { browser, stream, listener, wait } = await paused(what)
    browser.socket.resetAndDestroy()
    wait(PAUSED_PROBE_MS + 2 * SWEEP_MS)
    await stream.until(({ state }) => state === 'reset')
    await expect.poll(() => listener.visitors, { timeout: 5000 }).toBe(0)
  })

  test('stays, and is answered, when it has only ended its writing', async () => {
    const { browser, stream, wait } = await paused('WebSocket')
    browser.socket.end()
    const probe = vi.spyOn(PausedProbe.prototype, 'expire')
    onTestFinished(() => probe.mockRestore())
    for (const looks of [1, 2]) {
      wait(PAUSED_PROBE_MS + 2 * SWEEP_MS)
      await expect.poll(() => probe.mock.calls.length, { timeout: 5000 }).toBeGreaterThanOrEqual(looks)
    }
    stream.answer('late')
    await browser.until(({ text }) => text.endsWith('late'))
    expect([browser.closed, stream.state]).toEqual([false, 'open'])
  })
})

test('a visitor that leaves takes its stream along', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/slow'))
  const { stream } = await route.leased(0)
  browser.socket.resetAndDestroy()
  await stream.until(({ state }) => state === 'reset')
})

test('the end of a visitor’s writing becomes the end of the stream’s, and a late reply still arrives', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  browser.socket.end()
  const { stream } = await route.leased(0)
  await stream.until(({ state }) => state === 'ended')
  stream.answer(ok('late'))
  await browser.until(({ text, ended }) => text.endsWith('late') && ended)
})

test('after a 101 bytes pass both ways until both ends have finished', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/ws', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
  const lease = await route.leased(0)
  const { stream } = lease
  browser.send('too early?')
  stream.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi')
  await browser.until(({ text }) => text.endsWith('hi'))
  await stream.until(({ received }) => received.endsWith('too early?'))
  stream.listener?.end()
  await browser.until(({ ended }) => ended)
  browser.socket.end('bye')
  await stream.until(({ received, state }) => received.endsWith('bye') && state === 'ended')
  // Given back to the route, which resets it in time if the local server does not read to its end.
  expect(lease).toMatchObject({ left: true, unread: true })
})

test('a visitor that reads slowly gets all that a local server sent behind a 101 before it ended', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const MiB = 1024 * 1024
  const browser = new Browser(port).send(get('/ws', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
  const { stream } = await route.leased(0)
  browser.socket.pause()
  stream.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  stream.answer('1'.repeat(8 * MiB))
  stream.answer('2'.repeat(16 * MiB))
  browser.socket.resume()
  // The first piece is out, and the second, which no system takes at once, is not.
  await browser.until(({ text }) => text.length > 8 * MiB)
  browser.socket.pause()
  stream.answer('3'.repeat(MiB))
  stream.listener?.end()
  browser.socket.resume()
  await browser.until(({ ended, closed }) => ended || closed)
  expect(browser.text.split('\r\n\r\n')[1]).toHaveLength(25 * MiB)
})

test('an upgrade that its local server ends and breaks off in one turn leaves nothing behind', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const browser = new Browser(port).send(get('/ws', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi')
  await browser.until(({ text }) => text.endsWith('hi'))
  stream.listener?.end()
  stream.listener?.reset(new TunnelFault('stream-reset'))
  await expect.poll(() => listener.visitors).toBe(0)
})

test('a stream on which an upgrade was declined carries no further request', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'))
  const lease = await route.leased(0)
  lease.stream.answer(ok('no'))
  await browser.until(({ text }) => text.endsWith('no'))
  expect(lease).toMatchObject({ kept: undefined, left: true })
})

test('draining ends idle connections at once and busy ones with their response', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const idle = new Browser(port)
  await once(idle.socket, 'connect')
  const busy = new Browser(port).send(get('/'))
  const { stream } = await route.leased(0)
  while (listener.visitors < 2) await new Promise(setImmediate)
  const drained = listener.drain(5000)
  await idle.until(({ ended }) => ended)
  idle.socket.end()
  stream.answer(ok('last'))
  await busy.until(({ text, ended }) => text.endsWith('last') && ended)
  busy.socket.end()
  await drained
})

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
/** A text frame, and Close with status 1012. */
const FRAME = '\x81\x05hello'
const RESTARTING = '\x88\x02\x03\xf4'

/** A WebSocket through a listener that is told to go away after `graceMs`. */
async function openSocket() {
  const route = new ScriptedRoute()
  const { port, listener, faults } = await serve(route)
  const browser = new Browser(port).send(get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'))
  const { stream } = await route.leased(0)
  stream.answer(UPGRADED + FRAME)
  await browser.until(({ text }) => text.endsWith(FRAME))
  return { browser, stream, listener, faults }
}

test('a WebSocket that outlives a drain is closed by 1012; its own Close still reaches the local server', async () => {
  const { browser, stream, listener, faults } = await openSocket()
  const drained = listener.drain(0, 5000)
  await browser.until(({ text, ended }) => text.endsWith(FRAME + RESTARTING) && ended)
  // What the local server says after that goes nowhere.
  stream.answer(FRAME)
  browser.send('\x88\x82maskxy').socket.end()
  await stream.until(({ received, state }) => received.endsWith('maskxy') && state === 'ended')
  stream.listener?.end()
  await drained
  expect(browser.text.endsWith(RESTARTING)).toBe(true)
  expect([browser.error, faults]).toEqual([undefined, []])
})

test('nor is it taken back when the visitor has closed its connection behind it', async () => {
  const { browser, stream, listener } = await openSocket()
  const drained = listener.drain(0, 5000)
  await browser.until(({ text, ended }) => text.endsWith(RESTARTING) && ended)
  browser.send('\x88\x82maskxy').socket.end()
  await drained
  expect(stream.received.endsWith('maskxy')).toBe(true)
  expect(stream.state).toBe('ended')
  // What is still under way from the local server takes none of the channel's room.
  const before = stream.consumed
  stream.answer(FRAME)
  expect(stream.consumed).toBe(before + FRAME.length)
})

test('in the middle of a frame it waits for the end of that frame, and for no more', async () => {
  const { browser, stream, listener } = await openSocket()
  stream.answer(FRAME.slice(0, 4))
  await browser.until(({ text }) => text.endsWith(FRAME.slice(0, 4)))
  void listener.drain(0, 5000)
  stream.answer(FRAME.slice(4, 6))
  stream.answer(FRAME.slice(6) + FRAME)
  await browser.until(({ text, ended }) => text.endsWith(FRAME + FRAME + RESTARTING) && ended)
})

test.each<[what: string, upgrade: string, answer: string]>([
  ['another upgrade', 'echo', UPGRADED.replace('websocket', 'echo')],
  ['a WebSocket in the middle of a frame that does not end', 'websocket', UPGRADED + FRAME.slice(0, 4)],
  ['a WebSocket that its local server has closed', 'websocket', `${UPGRADED}\x88\x02\x03\xe8`],
  ['a response that has begun', '', 'HTTP/1.1 200 OK\r\n\r\ndata: x\n\n'],
])('%s that outlives a drain is cut', async (_what, upgrade, answer) => {
  const route = new ScriptedRoute()
  const { port, listener, wait } = await serve(route)
  const head = upgrade === '' ? '' : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  const browser = new Browser(port).send(get('/', head))
  const { stream } = await route.leased(0)
  stream.answer(answer)
  await browser.until(({ text }) => text.length > 20)
  const drained = listener.drain(0, 5000)
  wait(UPGRADE_END_MS)
  await browser.until(({ error }) => error?.code === 'ECONNRESET')
  expect(browser.text).not.toContain(RESTARTING)
  await drained
})

test('who waits for an answer that does not come in time is told so', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  await route.leased(0)
  void listener.drain(0, 5000)
  await browser.until(({ text, ended }) => text.includes('tunnel-error: server-draining') && ended)
  expect(browser.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nConnection: close\r\n/)
  browser.socket.end()
})

test('a listener that retires lets visitors in, keeps those that are idle, and makes each response the last of its connection', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const idle = new Browser(port)
  await once(idle.socket, 'connect')
  while (listener.visitors < 1) await new Promise(setImmediate)
  listener.disableKeepAlive()
  const late = new Browser(port)
  for (const [index, browser] of [idle, late].entries()) {
    browser.send(get('/'))
    const { stream } = await route.leased(index)
    stream.answer(ok('in'))
    await browser.until(({ text, ended }) => text.endsWith('in') && ended)
    expect(browser.text).toContain('\r\nConnection: close\r\n')
    browser.socket.end()
  }
})

test('what is open on a route can be ended', async () => {
  const routes = [new ScriptedRoute(), new ScriptedRoute()]
  const { port } = await serve(routes[0]!)
  const browser = new Browser(port).send(get('/'))
  const { stream } = await routes[0]!.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\n\r\npart')
  await browser.until(({ text }) => text.includes('part'))
  expect([routes[0]!.users.size, routes[1]!.users.size]).toEqual([1, 0])
  for (const user of routes[0]!.users) user.terminate()
  await browser.until(({ error }) => error?.code === 'ECONNRESET')
})

test('no stream to be had is said with its code', async () => {
  const route = new ScriptedRoute(() => ({ none: new TunnelFault('streams-exhausted') }))
  const { port } = await serve(route)
  const browser = new Browser(port).send(get('/'))
  await browser.until(({ text }) => text.includes('tunnel-error: streams-exhausted'))
  expect(browser.text).toMatch(/^HTTP\/1\.1 503 /)
})

/** A PROXY v2 header that speaks for 203.0.113.9:4711 (haproxy.org proxy-protocol.txt §2.2). */
const PROXY_HEADER = Buffer.from(
  '0d0a0d0a000d0a515549540a' + '2111000c' + 'cb007109' + '7f000001' + '1267' + '1f90',
  'hex',
)

test.each(['required', 'optional'] as const)(
  'with the PROXY header %s, the visitor is the one it names',
  async (policy) => {
    const route = new ScriptedRoute()
    const { port } = await serve(route, { proxyProtocol: policy })
    const browser = new Browser(port)
    browser.socket.write(Buffer.concat([PROXY_HEADER, Buffer.from(get('/behind'))]))
    const { stream } = await route.leased(0)
    expect(stream.received).toContain('X-Forwarded-For: 203.0.113.9\r\n')
    stream.answer(ok('seen'))
    await browser.until(({ text }) => text.endsWith('seen'))
  },
)

test('without a required PROXY header nothing is served', async () => {
  const route = new ScriptedRoute()
  const { port, faults } = await serve(route, { proxyProtocol: 'required' })
  const browser = new Browser(port).send(get('/'))
  await browser.until(({ ended, error }) => ended || error !== undefined)
  expect(browser.text).toBe('')
  expect(faults).toEqual(['proxy-header-invalid'])
  expect(route.leases).toHaveLength(0)
})

/** Long enough for what was written to be read, where nothing tells that it was. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
}

// ── who is slow ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A tunnel of so many streams; one that was reset may be had again. */
const routeOf = (streams: number): ScriptedRoute => {
  const route: ScriptedRoute = new ScriptedRoute(() => {
    const open = route.leases.filter(({ stream }) => stream.state !== 'reset').length
    return open < streams ? {} : { none: new TunnelFault('streams-exhausted') }
  })
  return route
}

const upload = (more = '') => `POST /p HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 100000\r\n\r\n${more}`

test('where no stream is left, the slowest upload gives way to the next request', async () => {
  const route = routeOf(2)
  const { port, faults, wait } = await serve(route)
  const slower = new Browser(port).send(upload('x'))
  await route.leased(0)
  wait(SLOW_VISITOR_MS)
  const slow = new Browser(port).send(upload('x'))
  await route.leased(1)
  wait(SLOW_VISITOR_MS)
  const next = new Browser(port).send(get('/next'))
  const { stream } = await route.leased(2)
  stream.answer(ok('served'))
  await next.until(({ text }) => text.endsWith('served'))
  await slower.until(({ text }) => text.includes('tunnel-error: body-timeout'))
  expect(slower.text).toMatch(/^HTTP\/1\.1 408 /)
  expect(slow.text).toBe('')
  expect(faults).toEqual(['body-timeout'])
})

test('whoever does not read gives way, too', async () => {
  const route = routeOf(1)
  const { port, wait } = await serve(route)
  const stalled = new Browser(port).send(get('/large'))
  const first = await route.leased(0)
  first.stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
  await stalled.until(({ text }) => text !== '')
  stalled.socket.pause()
  // More than the system takes of it.
  first.stream.answer('x'.repeat(32 * 1024 * 1024))
  wait(SLOW_VISITOR_MS)
  const next = new Browser(port).send(get('/next'))
  const { stream } = await route.leased(1)
  stream.answer(ok('served'))
  await next.until(({ text }) => text.endsWith('served'))
  stalled.socket.resume()
  // Node 20 can report a reset as an end.
  await stalled.until(({ ended, socket }) => ended || socket.destroyed)
  expect(first.stream.state).toBe('reset')
})

test.each<[who: string, request: string, answer: string | undefined, waited: number]>([
  ['an upload that goes on', upload('x'.repeat(2 * SLOW_UPLOAD_BYTES_PER_SECOND)), undefined, SLOW_VISITOR_MS],
  ['an upload that has just begun', upload(), undefined, 0],
  ['a visitor who waits for the answer', get('/poll'), undefined, 50_000],
  ['a reader of all that there was', get('/'), 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', 50_000],
])('%s gives way to nobody', async (_who, request, answer, waited) => {
  const route = routeOf(1)
  const { port, faults, wait } = await serve(route)
  const browser = new Browser(port).send(request)
  const { stream } = await route.leased(0)
  if (answer !== undefined) stream.answer(answer)
  await stream.until(({ received }) => received.length >= request.length)
  wait(waited)
  const next = new Browser(port).send(get('/next'))
  await next.until(({ text }) => text.includes('tunnel-error: streams-exhausted'))
  expect(faults).toEqual(['streams-exhausted'])
  expect(stream.state).toBe('open')
  expect(browser.ended).toBe(false)
})

test.each<[what: string, limit: number, request: string, answer: string, said: RegExp]>([
  ['a connection without a first byte', FIRST_BYTE_MS, '', '', /^$/],
  [
    'a head that does not end',
    HEAD_TIMEOUT_MS,
    'GET / HTTP/1.1\r\nHost: x\r\n',
    '',
    /^HTTP\/1\.1 408 [\s\S]*head-timeout/,
  ],
  ['a local server without an answer', ORIGIN_FIRST_BYTE_MS, get('/'), '', /^HTTP\/1\.1 504 [\s\S]*origin-timeout/],
  ['an upload that stands still', BODY_IDLE_MS, upload('x'), '', /^HTTP\/1\.1 408 [\s\S]*body-timeout/],
  ['a download that stands still', BODY_IDLE_MS, get('/'), 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', /half$/],
])('%s has its time, and no more', async (_what, limit, request, answer, said) => {
  // The clock of the deadlines; sockets keep theirs.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const route = new ScriptedRoute()
  const { port, listener, wait } = await serve(route)
  const browser = new Browser(port).send(request)
  if (request.includes('demo')) (await route.leased(0)).stream.answer(answer)
  if (answer !== '') await browser.until(({ text }) => text.endsWith('half'))
  while (listener.visitors === 0) await new Promise(setImmediate)
  await turns()
  const sweepAfter = (ms: number): void => {
    wait(ms)
    vi.advanceTimersByTime(SWEEP_MS)
  }
  const before = browser.text
  sweepAfter(limit - 2 * SWEEP_MS)
  await turns()
  expect([browser.text, browser.ended, browser.socket.destroyed], 'before its time').toEqual([before, false, false])
  sweepAfter(3 * SWEEP_MS)
  await browser.until(({ text, ended, socket }) => (text !== before || ended || socket.destroyed) && said.test(text))
})

test('a visitor that reads slowly has time for as long as it reads', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const route = new ScriptedRoute()
  const { port, wait, recorded } = await serve(route)
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.pause()
  socket.write(get('/'))
  const { stream } = await route.leased(0)
  const length = 32 * 1024 * 1024
  stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`)
  let read = 0
  socket.on('data', (bytes: Buffer) => {
    read += bytes.length
  })
  socket.pause()
  for (let part = 1; part <= 3; part++) {
    const goal = part * 4 * 1024 * 1024
    socket.resume()
    while (read < goal) await new Promise(setImmediate)
    socket.pause()
    await turns()
    wait(BODY_IDLE_MS + 3 * SWEEP_MS)
    vi.advanceTimersByTime(SWEEP_MS)
    await turns()
  }
  expect(recorded).toEqual([])
  socket.resume()
  while (read < length) await new Promise(setImmediate)
  await expect.poll(() => recorded).toEqual(['HTTP/1.1 200 whole -'])
})

test('one visitor more than the node takes is refused while every connection has a request', async () => {
  const route = new ScriptedRoute()
  const { port, faults } = await serve(route, { ceilings: new VisitorCeilings({ perTask: 1 }) })
  const first = new Browser(port).send(get('/'))
  await route.leased(0)
  const second = await new Browser(port).until(({ ended }) => ended)
  expect(second.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*tunnel-error: visitors-exhausted/)
  expect(first.ended).toBe(false)
  expect(faults).toEqual(['visitors-exhausted'])
})

test('one visitor more than the node takes has the place of an idle connection', async () => {
  const route = new ScriptedRoute()
  const { port, faults, listener } = await serve(route, { ceilings: new VisitorCeilings({ perTask: 1 }) })
  const idle = new Browser(port)
  while (listener.visitors === 0) await new Promise(setImmediate)
  new Browser(port).send(get('/'))
  await idle.until(({ ended }) => ended)
  await route.leased(0)
  expect([faults, listener.visitors]).toEqual([[], 1])
})

test('one visitor more than its address may be is told so; one whom the balancer names otherwise is served', async () => {
  const route = new ScriptedRoute()
  const { port, faults, listener } = await serve(route, {
    proxyProtocol: 'optional',
    ceilings: new VisitorCeilings({ perAddress: 1 }),
  })
  const first = new Browser(port).send(get('/first'))
  await route.leased(0)
  const second = await new Browser(port).send(get('/second')).until(({ ended }) => ended)
  expect(second.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*tunnel-error: visitors-exhausted/)
  const elsewhere = new Browser(port)
  elsewhere.socket.write(Buffer.concat([PROXY_HEADER, Buffer.from(get('/elsewhere'))]))
  await route.leased(1)
  expect(faults).toEqual(['visitors-exhausted'])
  // A place that was left is free again.
  first.socket.resetAndDestroy()
  while (listener.visitors > 1) await new Promise((resolve) => setTimeout(resolve, 10))
  new Browser(port).send(get('/third'))
  await route.leased(2)
})

describe('a visitor that waits for 100 Continue', () => {
  const expecting = (body = '') =>
    `POST /up HTTP/1.1\r\nHost: demo.example.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n${body}`
  const no = 'HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno'

  test.each([
    ['in one piece', [no]],
    ['in pieces', [no.slice(0, 20), no.slice(20, -1), no.slice(-1)]],
    ['behind a hint', ['HTTP/1.1 103 Early Hints\r\n\r\n', no]],
  ])(
    'and gets a final answer instead, %s, has all of it, and the connection ends in good order',
    async (_how, pieces) => {
      const route = new ScriptedRoute()
      const { port, recorded } = await serve(route)
      const browser = new Browser(port).send(expecting())
      const { stream } = await route.leased(0)
      for (const piece of pieces) stream.answer(piece)
      await browser.until(({ ended }) => ended)
      expect(browser.text).toMatch(/HTTP\/1\.1 417 Expectation Failed\r\n(?:.+\r\n)*Connection: close\r\n\r\nno$/)
      // A body that was on its way is read, and no reset takes the answer from its visitor.
      browser.send('late!')
      browser.socket.end()
      await browser.until(({ closed }) => closed)
      expect(browser.error).toBeUndefined()
      expect(stream.received).not.toContain('late!')
      expect(stream.state).toBe('reset')
      expect(recorded).toEqual(['HTTP/1.1 417 whole -'])
    },
  )

  test('and gets it sends its body, and the connection goes on', async () => {
    const route = new ScriptedRoute()
    const { port } = await serve(route)
    const browser = new Browser(port).send(expecting())
    const { stream } = await route.leased(0)
    stream.answer('HTTP/1.1 100 Continue\r\n\r\n')
    await browser.until(({ text }) => text.includes('100 Continue'))
    // The local server may still answer before the body has come, as without an expectation.
    stream.answer(no)
    await browser.until(({ text }) => text.endsWith('no'))
    expect(browser.text).not.toContain('Connection: close')
    browser.send(`12345${get('/next')}`)
    expect((await route.leased(1)).stream.received).toMatch(/^GET \/next/)
    expect(stream.received).toMatch(/12345$/)
  })

  test('but not for long, and has begun to send, is answered as without an expectation', async () => {
    const route = new ScriptedRoute()
    const { port } = await serve(route)
    const browser = new Browser(port).send(expecting('123'))
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.endsWith('123'))
    stream.answer(no)
    await browser.until(({ text }) => text.endsWith('no'))
    expect(browser.text).not.toContain('Connection: close')
    browser.send(`45${get('/next')}`)
    expect((await route.leased(1)).stream.received).toMatch(/^GET \/next/)
  })
})
