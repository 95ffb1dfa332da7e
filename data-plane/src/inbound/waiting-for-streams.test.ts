/** Requests that find no stream of their tunnel: how long they wait, in which order they are served, and what ends their waiting. */
import { QUEUED_PER_TUNNEL, STREAM_WAIT_MS, SWEEP_MS } from '@postern/protocol/limits'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, visit } from '../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedTunnel, type TunnelStream } from '../testing/scripted-tunnel.ts'

const CROWD = '127.0.0.2'
const GUEST = '127.0.0.3'
const EXHAUSTED = 'tunnel-error: streams-exhausted'
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n\r\n`
const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const pathOf = ({ received }: TunnelStream) => received.split(' ')[1]

/** A tunnel of so many streams, behind a listener whose deadlines come when the test says so. */
async function standWith(ceiling: number) {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const tunnel = new ScriptedTunnel(ceiling)
  const stand = await startPublicStand(toDemo(tunnel.route))
  const pass = (ms: number): void => {
    stand.wait(ms)
    vi.advanceTimersByTime(SWEEP_MS)
  }
  const queued = (size: number) => expect.poll(() => tunnel.route.queue.size).toBe(size)
  return { ...stand, tunnel, pass, queued }
}

test('a request waits for the next stream that is free, by HTTP/1 and by HTTP/2', async () => {
  const { port, tunnel, queued, recorded } = await standWith(1)
  new Browser(port).send(get('/first'))
  await tunnel.stream(0)
  const second = new Browser(port).send(get('/second'))
  await queued(1)
  const third = new SeenRequest(visit(port), { ':method': 'POST', ':path': '/third' }, 'body')
  await queued(2)
  // A stream that was kept serves the second; the third must not be done twice, and takes a fresh one in its place.
  for (const [index, path] of [
    [0, '/first'],
    [0, '/second'],
    [1, '/third'],
  ] as const) {
    const stream = await tunnel.stream(index)
    await stream.until(({ received }) => received.includes(`${path} `))
    if (path === '/third') await stream.until(({ received }) => received.includes('body'))
    stream.answer(ok(path))
  }
  await second.until(({ text }) => text.endsWith('/second'))
  await third.closed
  expect([third.status, third.text, tunnel.route.queue.size]).toEqual([200, '/third', 0])
  expect(recorded.slice(-2)).toEqual(['HTTP/1.1 200 whole -', 'HTTP/2.0 200 whole -'])
})

test('one visitor’s many requests do not keep another’s waiting', async () => {
  const { port, tunnel, queued } = await standWith(1)
  new Browser(port, CROWD).send(get('/held'))
  await tunnel.stream(0)
  const crowd = visit(port)
  for (let n = 0; n < 20; n++) new SeenRequest(crowd, { ':path': `/crowd-${n}` })
  await queued(20)
  new Browser(port, GUEST).send(get('/guest'))
  await queued(21)
  tunnel.streams[0]!.resetLocally()
  await tunnel.stream(1)
  tunnel.streams[1]!.resetLocally()
  expect(pathOf(await tunnel.stream(2))).toBe('/guest')
})

test('a request waits for STREAM_WAIT_MS at the most, however often it has been asked meanwhile', async () => {
  const { port, tunnel, pass, queued, faults } = await standWith(1)
  new Browser(port).send(get('/first'))
  await tunnel.stream(0)
  const waiting = new Browser(port).send(get('/second'))
  await queued(1)
  for (let waited = 3 * SWEEP_MS; waited < STREAM_WAIT_MS; waited += SWEEP_MS) {
    pass(SWEEP_MS)
    tunnel.route.sweep()
  }
  expect([waiting.text, tunnel.route.queue.size]).toEqual(['', 1])
  for (let more = 0; more < 5; more += 1) {
    pass(SWEEP_MS)
    tunnel.route.sweep()
  }
  await waiting.until(({ text }) => text.includes(EXHAUSTED))
  expect([faults, tunnel.route.queue.size]).toEqual([['streams-exhausted'], 0])
  // It was read to its end, so that the connection goes on.
  waiting.send(get('/third'))
  await queued(1)
  for (let more = 0; more < 3; more += 1) pass(SWEEP_MS)
  expect(tunnel.route.queue.size).toBe(1)
})

test.each<[who: string, leave: (browser: Browser) => unknown]>([
  ['resets its connection', ({ socket }) => socket.resetAndDestroy()],
  ['ends its side', ({ socket }) => socket.end()],
])('a visitor that %s waits no longer', async (_who, leave) => {
  const { port, tunnel, pass, queued } = await standWith(1)
  new Browser(port).send(get('/first'))
  await tunnel.stream(0)
  const waiting = new Browser(port).send(get('/second'))
  await queued(1)
  leave(waiting)
  pass(SWEEP_MS)
  await queued(0)
  tunnel.streams[0]!.resetLocally()
  await new Promise((resolve) => setImmediate(resolve))
  expect(tunnel.streams).toHaveLength(1)
})

test('a request of HTTP/2 that is taken back waits no longer', async () => {
  const { port, tunnel, queued } = await standWith(1)
  const session = visit(port)
  new SeenRequest(session, { ':path': '/first' })
  await tunnel.stream(0)
  const waiting = new SeenRequest(session, { ':path': '/second' })
  await queued(1)
  waiting.stream.close()
  await queued(0)
})

test('a drain answers those that wait at once', async () => {
  const { port, tunnel, queued, listener } = await standWith(1)
  new Browser(port).send(get('/first'))
  await tunnel.stream(0)
  const waiting = new Browser(port).send(get('/second'))
  await queued(1)
  void listener.drain(60_000)
  await waiting.until(({ text, ended }) => text.includes(EXHAUSTED) && ended)
  expect(tunnel.route.queue.size).toBe(0)
})

test('where every place is taken, the address with the most loses its latest, and that connection with it', async () => {
  const { port, tunnel, queued } = await standWith(0)
  for (let n = 2; n < QUEUED_PER_TUNNEL; n++)
    tunnel.route.queue.enter({ addressKey: `${n}`, retry: () => {}, displaced: () => expect.unreachable() })
  const first = new Browser(port, CROWD).send(get('/1'))
  await queued(QUEUED_PER_TUNNEL - 1)
  const last = new Browser(port, CROWD).send(get('/2') + get('/3'))
  await queued(QUEUED_PER_TUNNEL)
  const guest = new Browser(port, GUEST).send(get('/guest'))
  await last.until(({ text, ended }) => text.includes(EXHAUSTED) && ended)
  expect(last.text).toContain('\r\nConnection: close\r\n')
  expect([first.text, guest.text, tunnel.route.queue.size]).toEqual(['', '', QUEUED_PER_TUNNEL])
})
