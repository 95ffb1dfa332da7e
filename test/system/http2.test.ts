/** Visitors by HTTP/2 through real processes, and local servers that speak it. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DemoServer, startDemoServer } from '../../local/src/demo-server.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { askByHttp2, type Http2Answer, visitByHttp2 } from '../support/http2-visits.ts'
import { runCommand } from '../support/run-command.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { ask, eventually } from '../support/visits.ts'

let system: System
let demo: DemoServer
let agent: RunningAgent

beforeAll(async () => {
  demo = await startDemoServer()
  system = await startSystem()
  agent = await system.startAgent({ target: demo.port, subdomain: 'demo' })
})

afterAll(async () => {
  await system?.stop()
  await demo?.stop()
})

const visit = (): ClientHttp2Session => visitByHttp2(system)

const request = (session: ClientHttp2Session, fields: OutgoingHttpHeaders, body?: Buffer): Promise<Http2Answer> =>
  askByHttp2(session, { ':authority': agent.host, ...fields }, body)

test('a visitor by HTTP/2 reaches the demo, which sees a request of HTTP/1.1', async () => {
  const session = visit()
  const { status, fields, body } = await request(session, { ':path': '/hello?x=1', 'x-own': 'yes' })
  expect(status).toBe(200)
  expect(body).toContain('GET /hello?x=1 HTTP/1.1')
  expect(body).toContain('x-own: yes')
  expect(body).toMatch(/X-Forwarded-Host: demo\.localhost/i)
  expect(fields['postern-request-id']).toMatch(/^[0-9a-z]{6}-/)
  session.close()
})

test('100 requests at once on one connection, uploads of a megabyte among them', async () => {
  const session = visit()
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      index % 10 === 0
        ? request(session, { ':method': 'POST', ':path': `/${index}` }, Buffer.alloc(1024 * 1024, index))
        : request(session, { ':path': `/${index}` }),
    ),
  )
  for (const [index, { status, body }] of answers.entries()) {
    expect(status).toBe(200)
    expect(body).toContain(` /${index} HTTP/1.1`)
    if (index % 10 === 0) expect(body).toContain(String(1024 * 1024))
  }
  session.close()
})

test('server-sent events pass as they come', async () => {
  const session = visit()
  const stream: ClientHttp2Stream = session.request({ ':authority': agent.host, ':path': '/events' })
  const [first] = await once(stream, 'data')
  const [second] = await once(stream, 'data')
  expect(`${first}${second}`).toMatch(/data: /)
  stream.close(http2.constants.NGHTTP2_CANCEL)
  session.close()
})

test('an answer of our own, and the connection goes on', async () => {
  const session = visit()
  const { status, fields, body } = await request(session, {
    ':authority': 'nobody.localhost',
    accept: 'application/json',
  })
  expect([status, fields['tunnel-error'], JSON.parse(body).code]).toEqual([404, 'tunnel-not-found', 'tunnel-not-found'])
  expect((await request(session, { ':path': '/' })).status).toBe(200)
  session.close()
})

test('the base domain answers by HTTP/2 as well', async () => {
  const session = visit()
  const { status } = await request(session, { ':authority': 'localhost', ':path': '/v1/none' })
  expect(status).toBe(404)
  session.close()
})

const speaksHttp2 = spawnSync('curl', ['--version'], { encoding: 'utf8' }).stdout?.includes('HTTP2') === true

test('curl with prior knowledge sees what it sees by HTTP/1.1', async (context) => {
  if (!speaksHttp2) context.skip('there is no curl here that speaks HTTP/2')
  const place = ['--resolve', `demo.localhost:${system.publicPort}:127.0.0.1`, '-sS', '-d', 'a form']
  const url = `http://demo.localhost:${system.publicPort}/form`
  const asked = (version: string) =>
    runCommand('curl', [version, '-w', '\n%{http_version}', ...place, url], { deadlineMs: 10_000 })
  const [newer, older] = await Promise.all([asked('--http2-prior-knowledge'), asked('--http1.1')])
  expect(newer.stdout).toMatch(/\n2$/)
  expect(older.stdout).toMatch(/\n1\.1$/)
  expect(newer.stdout).toContain('POST /form HTTP/1.1')
})

/** Prints its port when it listens. */
async function program(name: string) {
  const path = fileURLToPath(new URL(`../suites/grpc/${name}`, import.meta.url))
  const child = spawn(process.execPath, [path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { port: Number(port), stop: () => child.kill() }
}

test('gRPC passes in all four kinds to an agent that was told h2c, and an upgrade is refused there', async () => {
  const origin = await program('echo-origin.mjs')
  try {
    const { host } = await system.startAgent({
      target: origin.port,
      subdomain: 'grpc',
      args: ['--upstream-protocol', 'h2c'],
    })
    const client = fileURLToPath(new URL('../suites/grpc/echo-client.mjs', import.meta.url))
    const url = `http://${host.split(':')[0]}:${system.publicPort}`
    const { stdout } = await runCommand(process.execPath, [client, url], { deadlineMs: 50_000 })
    const outcomes: [string, string][] = JSON.parse(stdout)
    expect(outcomes.filter(([, outcome]) => outcome !== 'passed')).toEqual([])
    expect(outcomes).toHaveLength(40)
    const refused = await ask(
      system,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    expect([statusOf(refused), fieldOf(refused, 'tunnel-error')]).toEqual([501, 'upgrade-unsupported'])
  } finally {
    origin.stop()
  }
})

test('a data plane that stops says GOAWAY, lets the answer under way end, and ends', async () => {
  const session = visit()
  const stream = session.request({ ':authority': agent.host, ':path': '/events' })
  await once(stream, 'data')
  const goaway = once(session, 'goaway')
  system.dataPlane.kill('SIGTERM')
  const [code] = await goaway
  expect(code).toBe(http2.constants.NGHTTP2_NO_ERROR)
  await once(stream, 'data')
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await eventually('the data plane has ended', () => !system.dataPlane.running)
})
