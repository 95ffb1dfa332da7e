import { once } from 'node:events'
import type { Socket } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import type { Verdict, VisitorGate } from '../route/visitor-gate.ts'
import { Browser } from '../testing/browser.ts'
import { startPublicStand } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'

/** A gate whose verdicts the test gives, one after the other. */
class ScriptedGate implements VisitorGate {
  readonly asked: { readonly path: string; readonly address: string }[] = []
  readonly say: ((verdict: Verdict) => void)[] = []

  judge(address: string, head: { readonly path: string }): Promise<Verdict> {
    this.asked.push({ path: head.path, address })
    return new Promise((resolve) => this.say.push(resolve))
  }
}

function gated(gate: VisitorGate = new ScriptedGate()): ScriptedRoute {
  const route = new ScriptedRoute()
  route.gate = gate
  return route
}

/** A listener that sends every request wherever `routes.now` leads, and a visitor of it. */
async function visit(routes: { now: ScriptedRoute }) {
  const { port, listener } = await startPublicStand({ find: () => routes.now })
  const browser = new Browser(port)
  return { socket: browser.socket, heard: browser, listener }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n\r\n`
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const scripted = (route: ScriptedRoute) => route.gate as ScriptedGate
const asked = (route: ScriptedRoute, times = 1) => expect.poll(() => scripted(route).asked.length).toBe(times)
const answered = (heard: { text: string }, end: RegExp) => expect.poll(() => heard.text).toMatch(end)
const gone = (socket: Socket) => once(socket, 'close')

test('while a request is judged nothing is leased, and what follows it waits for its turn', async () => {
  const route = gated()
  const { socket, heard } = await visit({ now: route })
  socket.write(get('/1') + get('/2'))
  await asked(route)
  socket.write(get('/3'))
  expect(route.leases).toEqual([])
  scripted(route).say[0]!(undefined)
  const first = await route.leased(0)
  expect(first.stream.received).toMatch(/^GET \/1 /)
  expect(scripted(route).asked).toEqual([{ path: '/1', address: '127.0.0.1' }])
  first.stream.answer(OK)
  await asked(route, 2)
  scripted(route).say[1]!(new TunnelFault('visitor-unauthorised'))
  await asked(route, 3)
  scripted(route).say[2]!(undefined)
  const third = await route.leased(1)
  expect(third.stream.received).toMatch(/^GET \/3 /)
  third.stream.answer(OK)
  await answered(heard, /200 OK[\s\S]*ok[\s\S]*HTTP\/1\.1 401 Unauthorized[\s\S]*200 OK[\s\S]*ok$/)
})

test('a body that came meanwhile follows its head, and not a byte of a body that was refused', async () => {
  const route = gated()
  const { socket, heard } = await visit({ now: route })
  const post = 'POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 8\r\n\r\n'
  socket.write(`${post}half`)
  await asked(route)
  socket.write('half')
  scripted(route).say[0]!(undefined)
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.endsWith('\r\n\r\nhalfhalf'))
  stream.answer(OK)
  await answered(heard, /ok$/)
  socket.write(`${post}refused!`)
  await asked(route, 2)
  scripted(route).say[1]!(new TunnelFault('visitor-not-allowed'))
  await answered(heard, /HTTP\/1\.1 403 Forbidden[\s\S]*Connection: close/)
  expect(route.leases).toHaveLength(1)
})

test('a visitor that has ended its side still gets its answer, and the local server hears of the end', async () => {
  const route = gated()
  const { socket, heard } = await visit({ now: route })
  socket.end(get('/last'))
  await asked(route)
  scripted(route).say[0]!(undefined)
  const { stream } = await route.leased(0)
  await stream.until(({ state }) => state === 'ended')
  stream.answer(OK)
  await answered(heard, /ok$/)
})

test('a visitor that has left meanwhile costs no stream', async () => {
  const route = gated()
  const { socket, listener } = await visit({ now: route })
  socket.write(get('/'))
  await asked(route)
  socket.resetAndDestroy()
  await gone(socket)
  await expect.poll(() => listener.visitors).toBe(0)
  scripted(route).say[0]!(undefined)
  await new Promise((resolve) => setImmediate(resolve))
  expect(route.leases).toEqual([])
})

test('where another channel has the name by then, its rules count', async () => {
  const [former, newer] = [gated(), gated()]
  const routes = { now: former }
  const { socket, heard } = await visit(routes)
  socket.write(get('/'))
  await asked(former)
  routes.now = newer
  scripted(former).say[0]!(undefined)
  await asked(newer)
  scripted(newer).say[0]!(new TunnelFault('visitor-not-allowed'))
  await answered(heard, /403 Forbidden/)
  expect([former.leases, newer.leases]).toEqual([[], []])
})

test('a gate that throws lets nobody in and ends nothing but the request', async () => {
  const [waiting, broken] = [gated(), gated()]
  broken.gate = {
    judge: () => {
      throw new Error('broken')
    },
  }
  const routes = { now: waiting }
  const { socket, heard } = await visit(routes)
  socket.write(get('/'))
  await asked(waiting)
  routes.now = broken
  scripted(waiting).say[0]!(undefined)
  await answered(heard, /500 Internal Server Error/)
  expect(broken.leases).toEqual([])
})

test('heads are changed as the gate says', async () => {
  const route = gated({
    judge: () => ({
      request: { host: 'localhost:3000', removed: new Set(['authorization']), extraLines: 'X-Added: 1\r\n' },
      response: ({ scheme, authority }) => ({
        extraLines: 'X-Also: 2\r\n',
        mend: { location: () => `${scheme}://${authority}/mended`, cookie: (value) => value },
      }),
    }),
  })
  const { socket, heard } = await visit({ now: route })
  socket.write('GET / HTTP/1.1\r\nHost: demo.example.com\r\nAuthorization: Basic eA==\r\n\r\n')
  const { stream } = await route.leased(0)
  expect(stream.received).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: localhost:3000\r\nX-Forwarded-For: /)
  expect(stream.received).toContain('X-Forwarded-Host: demo.example.com\r\n')
  expect(stream.received).toContain('X-Added: 1\r\n')
  stream.answer('HTTP/1.1 301 Moved Permanently\r\nLocation: http://localhost:3000/\r\nContent-Length: 0\r\n\r\n')
  await answered(heard, /\r\n\r\n$/)
  expect(heard.text).toContain('Location: https://demo.example.com/mended\r\n')
  expect(heard.text).toContain('X-Also: 2\r\n')
})
