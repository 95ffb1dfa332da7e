import type { Socket } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import { HELD_BODY_BYTES, LOOKUP_ROUNDS, REPLAY_BYTES } from '@postern/protocol/limits'
import { describe, expect, test } from 'vitest'
import { Sought } from '../dispatch/sought.ts'
import type { Route } from '../route/route.ts'
import type { Verdict } from '../route/visitor-gate.ts'
import { Browser } from '../testing/browser.ts'
import { startPublicStand } from '../testing/public-stand.ts'
import { ReturningTunnel } from '../testing/returning-tunnel.ts'
import { guarded, ScriptedRoute } from '../testing/scripted-route.ts'

/** A listener for a tunnel whose agent comes and goes as the test says. */
async function serve(options?: { holdMs?: number }) {
  const tunnel = new ReturningTunnel(options)
  const { port, listener, faults, retries, bytesIn } = await startPublicStand(tunnel.dispatcher)
  return {
    port,
    listener,
    faults,
    retries,
    bytesIn,
    size: () => tunnel.size,
    holding: (size: number) => tunnel.holding(size),
    leave: () => tunnel.leave(),
    arrive: (route: Route) => tunnel.arrive(route),
  }
}

const HOST = 'Host: demo.example.com\r\n'
const get = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const lost = () => new TunnelFault('channel-lost')

test('a request waits, is forwarded when the agent is back, and its connection goes on', async () => {
  const { port, holding, arrive } = await serve()
  const browser = new Browser(port).send(get('/1') + get('/2'))
  await holding(1)
  const route = new ScriptedRoute()
  arrive(route)
  for (const [index, path] of ['/1', '/2'].entries()) {
    const { stream } = await route.leased(index)
    expect(stream.received.split(' ')[1]).toBe(path)
    stream.answer(ok(path))
  }
  await browser.until(({ text }) => text.endsWith('\r\n\r\n/2'))
  expect(browser.text).not.toContain('tunnel-error')
})

test('its time over, a request is answered 503 with Retry-After, and its connection goes on', async () => {
  const { port, holding, arrive, size } = await serve({ holdMs: 150 })
  const began = performance.now()
  const browser = new Browser(port).send(get('/'))
  await browser.until(({ text }) => text.includes('tunnel-error: tunnel-offline'))
  expect(performance.now() - began).toBeGreaterThanOrEqual(149)
  expect(browser.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nRetry-After: \d+\r\n[\s\S]*Connection: keep-alive\r\n/)
  expect(size()).toBe(0)
  browser.send(get('/again'))
  await holding(1)
  const route = new ScriptedRoute()
  arrive(route)
  const { stream } = await route.leased(0)
  stream.answer(ok('back'))
  await browser.until(({ text }) => text.endsWith('back'))
})

test('a body is not read while its request waits, beyond what one read brings; then all of it goes through', async () => {
  const { port, holding, arrive } = await serve()
  const MiB = 1024 * 1024
  const body = Buffer.alloc(24 * MiB, 'abcdefghijklmnop')
  const browser = new Browser(port)
  let unsent = true
  browser.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n`)
  browser.socket.write(body, () => {
    unsent = false
  })
  await holding(1)
  // What the system's own buffers take is taken by then, and the rest of 24 MiB must still be the visitor's.
  let before = -1
  while (browser.socket.bytesWritten - browser.socket.writableLength !== before) {
    before = browser.socket.bytesWritten - browser.socket.writableLength
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  expect(unsent).toBe(true)
  const route = new ScriptedRoute()
  arrive(route)
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.length >= body.length)
  const [, arrived] = stream.received.split('\r\n\r\n')
  expect(Buffer.from(arrived!, 'latin1').equals(body)).toBe(true)
  stream.answer(ok('whole'))
  await browser.until(({ text }) => text.endsWith('whole'))
})

test('100 Continue comes from the local server alone', async () => {
  const { port, holding, arrive } = await serve()
  const browser = new Browser(port).send(
    `PUT / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
  )
  await holding(1)
  expect(browser.text).toBe('')
  const route = new ScriptedRoute()
  arrive(route)
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('Expect: 100-continue\r\n')
  stream.answer('HTTP/1.1 100 Continue\r\n\r\n')
  await browser.until(({ text }) => text.startsWith('HTTP/1.1 100 '))
  browser.send('body')
  await stream.until(({ received }) => received.endsWith('body'))
  stream.answer(ok('put'))
  await browser.until(({ text }) => text.endsWith('put'))
})

test('an upgrade waits too, and what is sent behind it is kept for the local server', async () => {
  const { port, holding, arrive } = await serve()
  new Browser(port).send(`GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes`)
  await holding(1)
  const route = new ScriptedRoute()
  arrive(route)
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await stream.until(({ received }) => received.endsWith('\r\n\r\nframes'))
})

test.each<[how: string, request: string, leave: (socket: Socket) => void]>([
  ['closes', get('/'), (socket) => socket.destroy()],
  ['resets', get('/'), (socket) => socket.resetAndDestroy()],
  ['closes behind a small body', `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`, (s) => s.destroy()],
  ['closes inside a body', `POST / HTTP/1.1\r\n${HOST}Content-Length: 50\r\n\r\nhello`, (s) => s.destroy()],
  [
    'resets while more waits than is read',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 9000000\r\n\r\n${'x'.repeat(2 * HELD_BODY_BYTES)}`,
    (socket) => socket.resetAndDestroy(),
  ],
])('a visitor that %s frees its place', async (_how, request, leave) => {
  const { port, holding } = await serve()
  const browser = new Browser(port).send(request)
  await holding(1)
  leave(browser.socket)
  // The tunnel holds it longer than this waits.
  await holding(0)
})

test('a visitor that has only ended its writing is told at once that the tunnel is away', async () => {
  const { port, holding, size } = await serve()
  const browser = new Browser(port).send(get('/'))
  await holding(1)
  browser.socket.end()
  await browser.until(({ text, ended }) => text.includes('tunnel-error: tunnel-offline') && ended)
  expect(size()).toBe(0)
  const both = new Browser(port)
  both.socket.end(get('/'))
  await both.until(({ text, ended }) => text.includes('tunnel-error: tunnel-offline') && ended)
})

test('draining ends the waiting at once: 503 with Retry-After and Connection: close', async () => {
  const { port, holding, listener, size } = await serve()
  const browser = new Browser(port).send(get('/'))
  const upload = new Browser(port).send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nhalf`)
  await holding(2)
  const drained = listener.drain(5000)
  for (const visitor of [browser, upload]) {
    await visitor.until(({ ended }) => ended)
    expect(visitor.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nRetry-After: \d+\r\nConnection: close\r\n/)
    visitor.socket.end()
  }
  expect(size()).toBe(0)
  await drained
})

test('a GET whose channel goes before a byte of the response came waits for the next one, as often as a tunnel is looked for', async () => {
  const { port, holding, arrive, leave, faults, retries } = await serve()
  const browser = new Browser(port)
  const heads: string[] = []
  for (let sent = 0; sent <= LOOKUP_ROUNDS; sent++) {
    const route = new ScriptedRoute()
    arrive(route)
    if (sent === 0) browser.send(get('/moved'))
    const { stream } = await route.leased(0)
    heads.push(stream.received)
    // As a channel does it: its streams hear of its end before its name is known to be away.
    stream.listener?.reset(lost())
    leave()
    if (sent < LOOKUP_ROUNDS) await holding(1)
  }
  await browser.until(({ text }) => text.includes('tunnel-error: channel-lost'))
  expect(new Set(heads)).toEqual(new Set([expect.stringContaining('GET /moved')]))
  expect(faults).toEqual(['channel-lost'])
  expect(retries).toEqual([LOOKUP_ROUNDS])
})

test.each([
  ['a POST', `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, ''],
  [
    'a PUT of more than is kept',
    `PUT / HTTP/1.1\r\n${HOST}Content-Length: ${REPLAY_BYTES + 1}\r\n\r\n${'x'.repeat(REPLAY_BYTES + 1)}`,
    '',
  ],
  ['a GET that has been answered in part', get('/'), 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'],
])('%s is not sent a second time when its channel goes', async (_what, request, answered) => {
  const { port, arrive, leave, size } = await serve()
  const route = new ScriptedRoute()
  arrive(route)
  const browser = new Browser(port).send(request)
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.endsWith(request.slice(request.indexOf('\r\n\r\n'))))
  if (answered !== '') stream.answer(answered)
  await browser.until(({ text }) => text.endsWith(answered.slice(-2)))
  stream.listener?.reset(lost())
  leave()
  if (answered === '') await browser.until(({ text }) => text.includes('tunnel-error: channel-lost'))
  else await browser.until(({ closed }) => closed)
  expect(size()).toBe(0)
  expect(route.leases).toHaveLength(1)
})

test('a tunnel that is found and gone again each time is given up after some rounds', async () => {
  let looks = 0
  const { port, faults } = await startPublicStand({
    find: () => {
      looks += 1
      return new Sought(Promise.resolve(undefined))
    },
  })
  const browser = new Browser(port).send(get('/'))
  await browser.until(({ text }) => text.includes('tunnel-error: tunnel-moved'))
  expect([looks, faults]).toEqual([LOOKUP_ROUNDS + 1, []])
})

test('a PUT whose channel goes in the middle of its body is sent whole by the next one, and goes on there', async () => {
  const { port, arrive, leave, holding, bytesIn } = await serve()
  const first = new ScriptedRoute()
  arrive(first)
  const head = `PUT / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\n`
  const browser = new Browser(port).send(`${head}one`)
  const { stream } = await first.leased(0)
  await stream.until(({ received }) => received.endsWith('\r\n\r\none'))
  browser.send('two')
  await stream.until(({ received }) => received.endsWith('onetwo'))
  stream.listener?.reset(lost())
  leave()
  await holding(1)
  const second = new ScriptedRoute()
  arrive(second)
  const again = await second.leased(0)
  await again.stream.until(({ received }) => received === stream.received)
  browser.send('end')
  await again.stream.until(({ received }) => received.endsWith('\r\n\r\nonetwoend'))
  again.stream.answer(ok('stored'))
  await browser.until(({ text }) => text.endsWith('stored'))
  expect([first.leases.length, bytesIn]).toEqual([1, [head.length + 9]])
})

test.each(['GET', 'POST'])(
  'a %s that finds its channel gone in this very moment goes to another one of the name',
  async (method) => {
    const { port, arrive, faults } = await serve()
    const second = new ScriptedRoute()
    // The channel is over, and its name has not heard of it yet.
    const first = new ScriptedRoute(() => {
      queueMicrotask(() => arrive(second))
      return { none: new TunnelFault('channel-closed') }
    })
    arrive(first)
    const browser = new Browser(port).send(`${method} / HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nbody`)
    const { stream } = await second.leased(0)
    await stream.until(({ received }) => received.endsWith('\r\n\r\nbody'))
    stream.answer(ok('done'))
    await browser.until(({ text }) => text.endsWith('done'))
    expect(faults).toEqual([])
  },
)

describe('the rules of the channel that comes count', () => {
  const stranger = () => new TunnelFault('visitor-unauthorised')
  const UNAUTHORISED = /^HTTP\/1\.1 401 [\s\S]*tunnel-error: visitor-unauthorised\r\n/

  test.each<[when: string, verdict: () => Verdict | Promise<Verdict>]>([
    ['at once', stranger],
    ['later', async () => stranger()],
  ])(
    'for a request that waited: one that is refused %s costs no stream, and its connection goes on',
    async (_when, verdict) => {
      const { port, holding, arrive, size } = await serve()
      const browser = new Browser(port).send(get('/secret') + get('/open'))
      const upload = new Browser(port).send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nbody`)
      await holding(2)
      const route = guarded((path) => (path === '/open' ? undefined : verdict()))
      arrive(route)
      const { stream } = await route.leased(0)
      stream.answer(ok('in'))
      await browser.until(({ text }) => text.endsWith('in'))
      expect(browser.text).toMatch(UNAUTHORISED)
      await upload.until(({ ended }) => ended)
      expect(upload.text).toMatch(UNAUTHORISED)
      expect(route.leases).toHaveLength(1)
      expect(stream.received).toMatch(/^GET \/open /)
      expect(size()).toBe(0)
    },
  )

  test('for a body that waited: it follows its head once the verdict is there', async () => {
    const { port, holding, arrive } = await serve()
    const browser = new Browser(port).send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 8\r\n\r\nhalf`)
    await holding(1)
    let say: (verdict: Verdict) => void = () => {}
    const route = guarded(() => new Promise((resolve) => (say = resolve)))
    arrive(route)
    browser.send('half')
    expect(route.leases).toEqual([])
    say(undefined)
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.endsWith('\r\n\r\nhalfhalf'))
    stream.answer(ok('whole'))
    await browser.until(({ text }) => text.endsWith('whole'))
  })

  test.each<[how: string, waits: boolean]>([
    ['waited for it', true],
    ['found it there already', false],
  ])('for a request that its channel took along and that %s', async (_how, waits) => {
    const { port, holding, arrive, leave } = await serve()
    const [first, second] = [new ScriptedRoute(), guarded(stranger)]
    arrive(first)
    const browser = new Browser(port).send(get('/moved'))
    const { stream } = await first.leased(0)
    stream.listener?.reset(lost())
    if (waits) {
      leave()
      await holding(1)
    }
    arrive(second)
    await browser.until(({ text }) => text.includes('\r\n\r\n'))
    expect(browser.text).toMatch(UNAUTHORISED)
    expect(second.leases).toEqual([])
  })

  test('for a request whose channel goes while it is judged: it waits, moves no second time for that, and is judged anew', async () => {
    const { port, holding, arrive, leave } = await serve()
    let say: (verdict: Verdict) => void = () => {}
    const asked: string[] = []
    const [first, second, third] = [
      new ScriptedRoute(),
      guarded((path) => {
        asked.push(path)
        return new Promise((resolve) => (say = resolve))
      }),
      guarded(() => undefined),
    ]
    arrive(first)
    const browser = new Browser(port).send(get('/moved'))
    const before = await first.leased(0)
    before.stream.listener?.reset(lost())
    leave()
    await holding(1)
    arrive(second)
    expect(asked).toEqual(['/moved'])
    leave()
    say(undefined)
    await holding(1)
    expect(second.leases).toEqual([])
    arrive(third)
    const { stream } = await third.leased(0)
    stream.answer(ok('done'))
    await browser.until(({ text }) => text.endsWith('done'))
  })

  test('a gate that throws lets nobody in, and those who wait behind are judged all the same', async () => {
    const { port, holding, arrive } = await serve()
    const broken = new Browser(port).send(get('/broken'))
    await holding(1)
    const fine = new Browser(port).send(get('/fine'))
    await holding(2)
    const route = guarded((path) => {
      if (path === '/broken') throw new Error('broken')
      return undefined
    })
    arrive(route)
    const { stream } = await route.leased(0)
    expect(stream.received).toMatch(/^GET \/fine /)
    stream.answer(ok('fine'))
    await fine.until(({ text }) => text.endsWith('fine'))
    await broken.until(({ text }) => text.includes('\r\n\r\n'))
    expect(broken.text).toMatch(/^HTTP\/1\.1 500 /)
    expect(route.leases).toHaveLength(1)
  })
})
