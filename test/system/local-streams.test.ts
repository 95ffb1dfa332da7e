/** Streams to the local server over real agents: which wait, which are shared, which belong to one visitor's connection. Visitors come to both of two nodes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { askOnce, HttpClient } from '../support/http-client.ts'
import { statusOf } from '../support/http-message.ts'
import { askByHttp2, visitByHttp2 } from '../support/http2-visits.ts'
import { type Ports, type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { eventually } from '../support/visits.ts'

const MODULES = 1300
/** More than a channel has streams. */
const HTTP1_CONNECTIONS = 400
/** What the local server takes for each module. */
const MODULE_MS = 20
/** It begins with them when all streams are taken, or after this long. */
const BARRIER_MS = 1000

let system: System
let folder: string
/** Agents are at the first, and visitors come to both. */
let nodes: readonly [own: Ports, peer: Ports]
const servers: http.Server[] = []
const children: ChildProcess[] = []

beforeAll(async () => {
  system = await startSystem({ hop: false })
  const own = system.ports
  await system.startDataPlane()
  nodes = [own, system.ports]
  folder = await mkdtemp(join(tmpdir(), 'postern-streams-'))
})

afterAll(async () => {
  await system?.stop()
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
  for (const child of children) child.kill()
  if (folder) await rm(folder, { recursive: true, force: true })
})

const get = (host: string, path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

async function serve(handle: http.RequestListener): Promise<number> {
  const server = http.createServer(handle)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Its channel is at the first node. */
const startAgent = (subdomain: string, target: number, ...args: string[]): Promise<RunningAgent> =>
  system.startAgent({ subdomain, target, args, server: system.controlUrl })

/** A script of Python that listens on that port. */
async function startPython(port: number, ...args: string[]): Promise<void> {
  const child = spawn('python3', args, { cwd: folder, stdio: 'ignore' })
  children.push(child)
  await eventually('the Python server listens', async () => {
    const socket = connect({ port, host: '127.0.0.1' })
    const [event] = await Promise.race([
      once(socket, 'connect').then(() => ['connect']),
      once(socket, 'close').then(() => ['close']),
    ]).catch(() => ['error'])
    socket.destroy()
    return event === 'connect'
  })
}

const hasPython = spawnSync('python3', ['-m', 'http.server', '--help']).stdout?.includes('--protocol') ?? false

describe('a page of 1,300 modules of a slow local server loads whole', () => {
  let host: string
  beforeAll(async () => {
    const port = await serve((request, response) => {
      const answer = (): void => void setTimeout(() => response.end(request.url), MODULE_MS)
      if (held === undefined) return answer()
      held.push(answer)
      if (held.length === STREAMS_PER_CHANNEL) begin()
    })
    host = (await startAgent('modules', port)).host
  })

  let held: (() => void)[] | undefined
  const begin = (): void => {
    for (const answer of held ?? []) answer()
    held = undefined
  }
  let barrier: NodeJS.Timeout
  beforeEach(() => {
    held = []
    barrier = setTimeout(begin, BARRIER_MS)
  })
  afterEach(() => clearTimeout(barrier))

  /** What did not come as it should. */
  const wrong = (answers: readonly { status: number; body: string }[]) =>
    answers.filter(({ status, body }, index) => status !== 200 || body !== `/${index}.js`)

  test('over 3 connections of HTTP/2', async () => {
    const sessions = Array.from({ length: 3 }, () => visitByHttp2(system))
    const answers = await Promise.all(
      Array.from({ length: MODULES }, (_, index) =>
        askByHttp2(sessions[index % 3]!, { ':authority': host, ':path': `/${index}.js` }),
      ),
    )
    expect(wrong(answers)).toEqual([])
    for (const session of sessions) session.close()
  })

  test.each([
    ['that come to its node', [0]],
    ['half of which come to another node', [0, 1]],
  ])('over 400 connections of HTTP/1.1 %s', async (_which, at) => {
    const clients = await Promise.all(
      Array.from({ length: HTTP1_CONNECTIONS }, (_, index) => HttpClient.open(nodes[at[index % at.length]!]!.public)),
    )
    const answers = await Promise.all(
      clients.map(async (client, first) => {
        const seen: { index: number; status: number; body: string }[] = []
        for (let index = first; index < MODULES; index += HTTP1_CONNECTIONS) {
          const answer = await client.ask(get(host, `/${index}.js`))
          seen.push({ index, status: statusOf(answer), body: answer.body.toString() })
        }
        client.close()
        return seen
      }),
    )
    expect(wrong(answers.flat().sort((a, b) => a.index - b.index))).toEqual([])
  })
})

describe('a local server that signs visitors in by connection', () => {
  const TYPE_1 = 'Authorization: NTLM TlRMTVNTUAAB\r\n'
  const TYPE_3 = 'Authorization: NTLM TlRMTVNTUAAD\r\n'
  const hosts: Record<string, string> = {}

  beforeAll(async () => {
    const states = new WeakMap<Socket, 'challenged' | 'alice'>()
    const port = await serve(({ url, headers, socket }, response) => {
      const said = headers.authorization
      if (said?.endsWith('AB')) states.set(socket, 'challenged')
      else if (said?.endsWith('AD') && states.has(socket)) states.set(socket, 'alice')
      const state = states.get(socket)
      if (url === '/private' && state !== 'alice') {
        response.setHeader('www-authenticate', state === 'challenged' ? 'NTLM TlRMTVNTUAAC' : 'NTLM')
        response.statusCode = 401
      }
      response.end(state ?? 'nobody')
    })
    const start = async (name: string, ...args: string[]): Promise<void> => {
      hosts[name] = (await startAgent(name, port, ...args)).host
    }
    await Promise.all([
      start('plain'),
      start('two-channels', '--connections', '2'),
      start('rules', '--request-header-add', 'X-Stage: demo'),
    ])
  })

  const whoIs = async (client: HttpClient, host: string, more = ''): Promise<string> =>
    (await client.ask(get(host, '/who', more))).body.toString()

  test.each([
    ['plain', 0],
    ['plain', 1],
    ['two-channels', 0],
    ['two-channels', 1],
    ['rules', 0],
    ['rules', 1],
  ] as const)('%s, by node %i: each visitor is who it says, and no stranger ever is', async (name, at) => {
    const host = hosts[name]!
    const { public: port } = nodes[at]
    let over = false
    const stranger = async (): Promise<string[]> => {
      const seen: string[] = []
      while (!over) {
        const client = await HttpClient.open(port)
        for (let n = 0; n < 3; n += 1) seen.push(await whoIs(client, host))
        client.close()
      }
      return seen
    }
    const alice = async (): Promise<string[]> => {
      const seen: string[] = []
      for (let n = 0; n < 3; n += 1) {
        const client = await HttpClient.open(port)
        for (const more of ['', TYPE_1, TYPE_3, '']) {
          const answer = await client.ask(get(host, '/private', more))
          seen.push(`${statusOf(answer)} ${answer.body}`)
        }
        seen.push(await whoIs(client, host))
        client.close()
      }
      return seen
    }
    const strangers = Array.from({ length: 4 }, stranger)
    const alices = await Promise.all([alice(), alice()])
    over = true
    expect([...new Set((await Promise.all(strangers)).flat())]).toEqual(['nobody'])
    const once = ['401 nobody', '401 challenged', '200 alice', '200 alice', 'alice']
    for (const seen of alices) expect(seen).toEqual([...once, ...once, ...once])
  })

  test('credentials that were not asked for make nobody else their visitor', async () => {
    const [bob, alice, carol] = await Promise.all([1, 2, 3].map(() => HttpClient.open(nodes[0].public)))
    const host = hosts.plain!
    const seen = [
      await whoIs(bob!, host),
      await whoIs(alice!, host, TYPE_1),
      await whoIs(alice!, host, TYPE_3),
      await whoIs(carol!, host),
      await whoIs(bob!, host),
      await whoIs(alice!, host),
    ]
    expect(seen).toEqual(['nobody', 'challenged', 'alice', 'nobody', 'nobody', 'alice'])
    for (const client of [bob, alice, carol]) client!.close()
  })

  test('a visitor over HTTP/2 is sent to HTTP/1.1, by a 401 as by its own credentials', async () => {
    const session = visitByHttp2(system)
    for (const fields of [{ ':path': '/private' }, { ':path': '/who', authorization: 'NTLM TlRMTVNTUAAB' }]) {
      const stream = session.request({ ':authority': hosts.plain, ...fields })
      stream.on('error', () => {})
      await new Promise((resolve) => stream.once('close', resolve))
      expect(stream.rstCode).toBe(http2.constants.NGHTTP2_HTTP_1_1_REQUIRED)
    }
    expect((await askByHttp2(session, { ':authority': hosts.plain!, ':path': '/who' })).body).toBe('nobody')
    session.close()
  })
})

// Debian 12 and later have it.
describe.skipIf(!hasPython)('the HTTP server of Python, which needs Python 3.11', () => {
  const SMUGGLED = 'GET /evil.html HTTP/1.1\r\nHost: x\r\nX-Swallow: '

  test('what a GET smuggles in its body is nobody’s answer', async () => {
    await writeFile(join(folder, 'index.html'), 'welcome')
    await writeFile(join(folder, 'evil.html'), 'evil')
    const port = await freePort()
    await startPython(port, '-m', 'http.server', '--protocol', 'HTTP/1.1', '--bind', '127.0.0.1', String(port))
    const { host } = await startAgent('python', port)
    for (const { public: at } of nodes) {
      for (let round = 0; round < 5; round += 1) {
        const attack = get(host, '/index.html', `Content-Length: ${SMUGGLED.length}\r\n`) + SMUGGLED
        expect((await askOnce(at, attack)).body.toString()).toBe('welcome')
        const victim = await askOnce(at, get(host, '/index.html', 'Cookie: victim=1\r\n'))
        expect([statusOf(victim), victim.body.toString()]).toEqual([200, 'welcome'])
      }
    }
  })

  test('one that serves a single connection at a time serves all visitors, while one of them asks again and again', async () => {
    const port = await freePort()
    const script = [
      'from http.server import *',
      'import time, sys',
      'class Handler(SimpleHTTPRequestHandler):',
      '  protocol_version = "HTTP/1.1"',
      '  def do_GET(self):',
      '    if self.path == "/slow": time.sleep(0.5)',
      '    self.send_response(200)',
      '    self.send_header("Content-Length", "2")',
      '    self.end_headers()',
      '    self.wfile.write(b"ok")',
      'HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()',
    ]
    await startPython(port, '-c', script.join('\n'), String(port))
    const { host } = await startAgent('single', port)
    const clients = await Promise.all(Array.from({ length: 5 }, () => HttpClient.open(nodes[0].public)))
    const [busy, ...others] = clients
    const slow = busy!.ask(get(host, '/slow'))
    await delay(100)
    let waiting = others.length
    const answers = others.map(async (client) => {
      const answer = await client.ask(get(host, '/'))
      waiting -= 1
      return statusOf(answer)
    })
    await slow
    // The stream that served the slow request is there for the next, for as long as the visitor asks often enough.
    const asked: number[] = []
    while (waiting > 0) {
      asked.push(statusOf(await busy!.ask(get(host, '/'), 10_000)))
      await delay(200)
    }
    expect(await Promise.all(answers)).toEqual([200, 200, 200, 200])
    expect(new Set(asked)).toEqual(new Set(asked.length === 0 ? [] : [200]))
    for (const client of clients) client.close()
  })
})
