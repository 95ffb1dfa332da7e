/** The access log and /metrics against what whoever made the requests has counted itself: every request, every status, every byte. */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HttpClient } from '../support/http-client.ts'
import { fieldOf, fieldsOf, statusOf } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { ask, eventually, heldSoFar, metricsOf, visit } from '../support/visits.ts'

const BIG = 10_000_000

/** What a request was, as its visitor saw it. */
interface Seen {
  readonly status: number
  readonly end: string
  readonly bytesIn: number
  /** Received; of those that were not read to their end, the line may say more. */
  readonly bytesOut: number
  readonly fault?: string
}

interface Line extends Seen {
  readonly event: string
  readonly requestId: string
  readonly path?: string
  readonly tunnel?: string
  readonly method?: string
  readonly protocol: string
  readonly visitor: string
  readonly totalMs: number
  readonly holdMs?: number
  readonly originMs?: number
}

let system: System
let origin: ScriptedOrigin
let agent: RunningAgent
/** By path, each of which is asked for once; what has none is ''. */
const seen = new Map<string, Seen>()

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start(async ({ head, connection, whole }) => {
    const path = head.startLine.split(' ')[1]!
    if (path.startsWith('/upgrade')) {
      connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      await connection.saw('ping')
      connection.write('pong')
      await connection.over()
      connection.end()
      return
    }
    await whole()
    if (path.startsWith('/big'))
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG}\r\n\r\n${'x'.repeat(100_000)}`)
    else if (path.startsWith('/cut')) {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
      connection.end()
    } else if (path.startsWith('/fail')) connection.write('HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nnope')
    else if (path.startsWith('/timed'))
      connection.write(
        'HTTP/1.1 200 OK\r\nServer-Timing: db;dur=53\r\nServer-Timing: cache;desc="hit"\r\nContent-Length: 0\r\n\r\n',
      )
    else
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${head.startLine.startsWith('HEAD') ? '' : 'ok'}`)
  })
  agent = await start()
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

/** Its own calls go past the data plane, so that they are not among the requests. */
const start = (subdomain = 'demo', target: number | string = origin.port) =>
  system.startAgent({ subdomain, target, server: system.controlUrl })

const request = (method: string, path: string, more = '', host = 'demo.localhost'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

/** Asks, and notes what was sent and came. */
async function note(client: HttpClient, path: string, text: string, end = 'whole', fault?: string): Promise<number> {
  const before = client.connection.length
  const message = await client.ask(text)
  const bytesOut = client.connection.length - before
  const status = statusOf(message)
  seen.set(path, { status, end, bytesIn: Buffer.byteLength(text, 'latin1'), bytesOut, ...(fault && { fault }) })
  return status
}

const lines = (): Line[] =>
  system.dataPlane.stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'request')

/** Lines of requests for that path. */
const told = (path: string): number => lines().filter((line) => line.path === path).length

test('requests of every kind are made', async () => {
  const client = await visit(system)
  for (let i = 0; i < 20; i++) expect(await note(client, `/ok-${i}`, request('GET', `/ok-${i}`))).toBe(200)
  await note(client, '/asked', request('GET', '/asked?token=not-to-be-told'))
  await note(client, '/head', request('HEAD', '/head'))
  await note(client, '/fail', request('GET', '/fail'))
  const body = 'u'.repeat(100_000)
  await note(client, '/upload', request('POST', '/upload', `Content-Length: ${body.length}\r\n`) + body)
  await note(
    client,
    '/chunks',
    `${request('POST', '/chunks', 'Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n0\r\n\r\n`,
  )
  await note(client, '/nobody', request('GET', '/nobody', '', 'nobody.localhost'), 'refused', 'tunnel-not-found')

  const paths = Array.from({ length: 10 }, (_, i) => `/pipelined-${i}`)
  let before = client.connection.length
  client.send(paths.map((path) => request('GET', path)).join(''))
  for (const path of paths) {
    const { response } = await client.answer()
    const bytesIn = request('GET', path).length
    seen.set(path, { status: statusOf(response), end: 'whole', bytesIn, bytesOut: response.end - before })
    before = response.end
  }
  client.close()

  const nonsense = await visit(system)
  await note(nonsense, '', 'nonsense\r\n\r\n', 'refused', 'request-invalid')
  nonsense.close()

  const closed = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => closed.once('listening', resolve))
  const { port } = closed.address() as AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  await start('refusing', `127.0.0.1:${port}`)
  const refused = await visit(system)
  await note(refused, '/refused', request('GET', '/refused', '', 'refusing.localhost'), 'refused', 'origin-refused')
  refused.close()
})

test('a visitor upgrades, one leaves, one is cut off, one waits for the agent', async () => {
  const socket = await RawConnection.open(system.publicPort)
  const upgrade = request('GET', '/upgrade', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')
  socket.write(upgrade)
  await socket.saw('\r\n\r\n')
  socket.end('ping')
  await socket.over()
  seen.set('/upgrade', { status: 101, end: 'whole', bytesIn: upgrade.length + 4, bytesOut: socket.length })

  const leaver = await RawConnection.open(system.publicPort)
  leaver.write(request('GET', '/big'))
  await leaver.saw('xxxx')
  leaver.reset()
  seen.set('/big', { status: 200, end: 'abandoned', bytesIn: request('GET', '/big').length, bytesOut: leaver.length })

  const cut = await RawConnection.open(system.publicPort)
  cut.write(request('GET', '/cut'))
  expect(await cut.over()).toBe('cut')
  const bytesIn = request('GET', '/cut').length
  seen.set('/cut', { status: 200, end: 'cut', bytesIn, bytesOut: cut.length, fault: 'origin-closed' })

  agent.process.kill('SIGKILL')
  await agent.process.exited
  const held = await visit(system)
  const answered = note(held, '/held', request('GET', '/held'))
  await eventually('held', async () => (await heldSoFar(system)) === 1)
  agent = await start()
  expect(await answered).toBe(200)
  held.close()
})

test('the access log has each of them once, as its visitor saw it', async () => {
  await eventually('all lines', () => lines().length >= seen.size)
  const told = lines()
  expect(told.map(({ path }) => path ?? '').sort()).toEqual([...seen.keys()].sort())
  for (const line of told) {
    const { bytesOut, ...rest } = seen.get(line.path ?? '')!
    expect(line).toMatchObject({ ...rest, visitor: '127.0.0.1', protocol: 'HTTP/1.1' })
    expect('fault' in line).toBe('fault' in rest)
    // Of what was on its way when the connection was reset, the visitor has seen a part.
    if (rest.end === 'whole' || rest.end === 'refused')
      expect([line.path, line.bytesOut]).toEqual([line.path, bytesOut])
    else expect(line.bytesOut).toBeGreaterThanOrEqual(bytesOut)
    if (line.path !== undefined) expect(line).toHaveProperty('tunnel')
  }
  expect(new Set(told.map(({ requestId }) => requestId)).size).toBe(told.length)
  const held = told.find(({ path }) => path === '/held')!
  expect(held.holdMs).toBeGreaterThan(0)
  expect(held.totalMs).toBeGreaterThanOrEqual(held.holdMs!)
  expect(system.dataPlane.stdout).not.toContain('not-to-be-told')
})

test('the metrics are the sums of the lines, and of what the visitors saw', async () => {
  const told = lines()
  const series = await metricsOf(system)
  const all = [...seen.values()]
  for (const [name, from, to] of [
    ['1xx', 100, 199],
    ['2xx', 200, 299],
    ['4xx', 400, 499],
    ['5xx', 500, 599],
  ] as const) {
    const count = (of: readonly { status: number }[]) =>
      of.filter(({ status }) => status >= from && status <= to).length
    expect([name, series.get(`postern_requests_total{class="${name}"}`)]).toEqual([name, count(all)])
    expect(count(told)).toBe(count(all))
  }
  const sum = (of: readonly Seen[], what: 'bytesIn' | 'bytesOut') => of.reduce((total, one) => total + one[what], 0)
  expect(series.get('postern_visitor_bytes_total{direction="in"}')).toBe(sum(all, 'bytesIn'))
  expect(series.get('postern_visitor_bytes_total{direction="out"}')).toBe(sum(told, 'bytesOut'))
  expect(series.get('postern_request_duration_seconds_count')).toBe(all.length)
  expect(series.get('postern_origin_duration_seconds_count')).toBe(
    told.filter(({ originMs }) => originMs !== undefined).length,
  )
  // One had no head that could be read.
  expect(series.get('postern_request_heads_total')).toBe(all.length - 1)
  for (const code of ['tunnel-not-found', 'request-invalid', 'origin-refused', 'origin-closed'])
    expect([code, series.get(`postern_faults_total{code="${code}"}`)]).toEqual([code, 1])
  expect(series.get('postern_access_log_dropped_lines_total')).toBe(0)
  expect(series.get('postern_opening_duration_seconds_count')).toBe(3)
  expect(series.get('postern_tunnels')).toBe(2)
})

test('times and traces pass: ours beside those of the local server, the visitor’s trace untouched', async () => {
  origin.requests.length = 0
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const answer = await ask(system, request('GET', '/timed', `traceparent: ${trace}\r\ntracestate: rojo=1\r\n`))
  const [first, second, ours] = fieldsOf(answer, 'server-timing')
  expect([first, second]).toEqual(['db;dur=53', 'cache;desc="hit"'])
  expect(ours).toMatch(/^(channel;dur=[\d.]+, )?origin;dur=[\d.]+$/)
  const { head } = await origin.request()
  expect(fieldsOf(head, 'traceparent')).toEqual([trace])
  expect(fieldsOf(head, 'tracestate')).toEqual(['rojo=1'])
  await ask(system, request('GET', '/untraced'))
  expect(fieldsOf((await origin.request(1)).head, 'traceparent')).toEqual([])
  const refused = await ask(system, request('GET', '/', '', 'refusing.localhost'))
  expect(fieldOf(refused, 'server-timing')).toMatch(/origin;dur=/)
})

test('whoever reads the log may stand still: requests go on, and what is dropped is counted', async () => {
  system.dataPlane.pauseOutput()
  const batch = request('GET', '/flood', '', 'nobody.localhost').repeat(200)
  for (let i = 0; i < 50; i++) {
    const flood = await RawConnection.open(system.publicPort)
    flood.write(batch)
    await flood.until('all answers', () => (flood.text.split('HTTP/1.1 404').length > 200 ? true : undefined))
    flood.close()
  }
  const dropped = async () => (await metricsOf(system)).get('postern_access_log_dropped_lines_total')!
  await eventually('a dropped line', async () => (await dropped()) > 0)
  system.dataPlane.resumeOutput()
  // Every line that came is whole: `lines` has parsed it. The last requests are dropped, or not, only when their lines are made.
  await eventually('the rest', async () => told('/flood') + (await dropped()) >= 10_000)
  expect(told('/flood') + (await dropped())).toBe(10_000)
})

test('on its way out a task writes what is left', async () => {
  expect(statusOf(await ask(system, request('GET', '/last', '', 'nobody.localhost')))).toBe(404)
  await system.dataPlane.stop()
  expect(told('/last')).toBe(1)
})
