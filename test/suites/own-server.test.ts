/** A server of one's own: the service as the page starts it, real TLS fronts with the page's configurations, and Express behind them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { runCommand } from '../support/run-command.ts'
import { selfSigned } from '../support/self-signed.ts'
import { commandPath, npmPackages } from './install.ts'
import { FRONTS, type Place, type RunningFront } from './own-server/fronts.ts'
import { blocksOf, placed } from './own-server/page.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const HERE = fileURLToPath(new URL('own-server', import.meta.url))
const NAMES = join(HERE, 'names.cjs')
const BASE = 'tunnel.example.com'
const HOST = `demo.${BASE}`
const SLOW = { timeout: 120_000 }
/** No trusted proxy's, as a visitor's is not. */
const VISITOR = '127.0.0.2'
const SPOOFED = {
  'x-forwarded-for': '6.6.6.6, 127.0.0.1',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'evil.example.org',
  forwarded: 'for=6.6.6.6;proto=http;host=evil.example.org',
  'x-real-ip': '6.6.6.6',
}
const SEEN = {
  ip: VISITOR,
  secure: true,
  protocol: 'https',
  host: HOST,
  forwardedHost: HOST,
}

let folder: string
let place: Omit<Place, 'folder'>
let certificate: string
let postern: Postern
let origin: ChildProcess
let originPort: number
let missing: string | undefined

interface Postern {
  readonly process: ChildProcess
  readonly port: number
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-own-server-'))
  const pair = selfSigned(BASE)
  missing = (await npmPackages(HERE)) ?? (pair === undefined ? 'there is no OpenSSL' : undefined)
  if (missing !== undefined) return
  const [cert, key, both] = ['cert.pem', 'key.pem', 'both.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  certificate = pair!.cert
  await writeFile(cert, pair!.cert)
  await writeFile(key, pair!.key)
  await writeFile(both, pair!.cert + pair!.key)
  const [command] = await unitCommand()
  postern = await startPostern(command!, 'data')
  place = { certificate: cert, key, both, upstream: `127.0.0.1:${postern.port}` }
  origin = spawn(process.execPath, [join(HERE, 'origin.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
  originPort = Number(await firstLine(origin))
}, 300_000)

afterAll(async () => {
  origin?.kill()
  if (postern !== undefined) await stopped(postern.process)
  await rm(folder, { recursive: true, force: true })
}, 60_000)

/** What the unit of the page starts. */
async function unitCommand(): Promise<string[][]> {
  const units = await blocksOf('ini')
  return units.map((unit) => /^ExecStart=(.+)$/m.exec(unit)![1]!.split(' '))
}

/** What the container of the page starts. */
async function containerCommand(): Promise<string[]> {
  const [file] = await blocksOf('dockerfile')
  return JSON.parse(/^CMD (.+)$/m.exec(file!)![1]!)
}

/** Runs such a command, at free ports and on a folder of this test. Resolves when it serves. */
async function startPostern(command: readonly string[], data: string): Promise<Postern> {
  const port = await freePort()
  const words = command.slice(1).map((word) => word.replace('/var/lib/postern', join(folder, data)))
  expect(words).toContain(join(folder, data))
  const child = spawn(process.execPath, [...words, '--port', String(port), '--channel-port', '0'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface(child.stdout))
    if (line.includes('stops everything')) return { process: child, port }
  throw new Error('it ended before it served')
}

/** Tells the first process alone, as `KillMode=mixed` and a container's runtime do. */
async function stopped(child: ChildProcess): Promise<unknown[]> {
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  return exit
}

const firstLine = async (child: ChildProcess): Promise<string> =>
  ((await once(createInterface(child.stdout!), 'line')) as [string])[0]

/** The environment of another machine: the front's certificate is trusted, and its domain leads here. */
const elsewhere = () => ({ ...process.env, NODE_EXTRA_CA_CERTS: place.certificate, NODE_OPTIONS: `--require ${NAMES}` })

type Found = (error: Error | null, found: string | LookupAddress[], family?: number) => void

interface Visit {
  readonly path: string
  readonly method?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: Buffer
}

async function ask(port: number, { path, method = 'GET', headers = {}, body }: Visit): Promise<http.IncomingMessage> {
  const request = https.request({
    ...{
      host: '127.0.0.1',
      port,
      path,
      method,
      localAddress: VISITOR,
      servername: HOST,
      ca: certificate,
      agent: false,
    },
    headers: { host: HOST, ...headers },
  })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return response
}

const askJson = async (port: number, visit: Visit) => JSON.parse(await text(await ask(port, visit)))

test('systemd takes the unit of the page', SLOW, async (context) => {
  const command = commandPath('systemd-analyze')
  if (command === undefined) context.skip('there is no systemd-analyze')
  const [unit] = await blocksOf('ini')
  const file = join(folder, 'postern.service')
  await writeFile(file, placed(unit!, { '/usr/bin/node': process.execPath, '/opt/postern': ROOT }))
  const { output } = await runCommand(command!, ['verify', '--man=no', file], { deadlineMs: 60_000 })
  expect(output).not.toContain(file)
})

test('what the page starts in a container serves, and ends in order', SLOW, async (context) => {
  if (missing !== undefined) context.skip(missing)
  const { process: child } = await startPostern(await containerCommand(), 'container')
  expect(await stopped(child)).toEqual([0, null])
})

describe.each(FRONTS)('behind $name', (program) => {
  let front: RunningFront
  let agent: ChildProcess
  let without: string | undefined

  beforeAll(async () => {
    without = missing ?? (await program.install())
    if (without !== undefined) {
      process.stdout.write(`own server behind ${program.name}: LEFT OUT: ${without}\n`)
      return
    }
    const own = join(folder, program.name.replaceAll(' ', '-'))
    await mkdir(own)
    front = await program.start({ ...place, folder: own })
    const server = `https://${BASE}:${front.port}`
    const tokenFile = await laptopToken(own, server)
    const args = ['agent/bin/tunnel-agent.js', 'http', String(originPort), '--subdomain', 'demo']
    agent = spawn(process.execPath, [...args, '--server', server, '--token-file', tokenFile], {
      ...{ cwd: ROOT, env: elsewhere() },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect(await firstLine(agent)).toBe(`https://${HOST}`)
  }, 300_000)

  afterAll(async () => {
    if (agent !== undefined) await stopped(agent)
    await front?.stop()
  }, 60_000)

  /** The page's two commands of the administration. */
  async function laptopToken(own: string, server: string): Promise<string> {
    const admin = async (name: string, env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> => {
      const options = { cwd: ROOT, env, deadlineMs: 60_000 }
      const { stdout } = await runCommand(process.execPath, ['admin/bin/tunnel-admin.js', ...args], options)
      await writeFile(join(own, name), stdout, { mode: 0o600 })
      return join(own, name)
    }
    const bootstrap = ['bootstrap', '--force', '--local', join(folder, 'data')]
    const administrator = await admin('admin.token', process.env, ...bootstrap)
    const create = ['token', 'create', '--label', 'laptop', '--server', server, '--token-file', administrator]
    return admin('laptop.token', elsewhere(), ...create)
  }

  const check = (title: string, run: () => Promise<void>): void =>
    test(title, SLOW, async (context) => {
      if (without !== undefined) context.skip(without)
      await run()
    })

  check("Express sees https and the visitor's address, whatever the visitor says", async () => {
    for (const headers of [{}, SPOOFED]) expect(await askJson(front.port, { path: '/seen', headers })).toEqual(SEEN)
  })

  check('visitors who share a connection of the front keep their own addresses', async () => {
    for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.2']) {
      const request = https.get({
        ...{ host: '127.0.0.1', port: front.port, path: '/seen', localAddress: address, agent: false },
        ...{ servername: HOST, ca: certificate, headers: { host: HOST } },
      })
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      expect(JSON.parse(await text(response)).ip).toBe(address)
    }
  })

  check('a secure session is kept', async () => {
    const first = await ask(front.port, { path: '/visits' })
    const [cookie] = first.headers['set-cookie']!
    expect(cookie).toContain('Secure')
    first.resume()
    const headers = { cookie: cookie!.split(';')[0]! }
    expect(await askJson(front.port, { path: '/visits', headers })).toBe(2)
  })

  check('a WebSocket passes, and its visitor is known', async () => {
    const WebSocket = createRequire(join(HERE, 'package.json'))('ws')
    const socket = new WebSocket(`wss://${HOST}:${front.port}/echo`, {
      ...{ host: '127.0.0.1', localAddress: VISITOR, servername: HOST, ca: certificate },
      lookup: (_name: string, options: LookupOptions, done: Found) => lookup('127.0.0.1', options, done),
      headers: { host: HOST, ...SPOOFED },
    })
    await once(socket, 'open')
    socket.send('hello')
    const [data] = await once(socket, 'message')
    expect(String(data)).toBe(`hello ${VISITOR}`)
    socket.close()
    await once(socket, 'close')
  })

  check('HTTP/2 passes, with requests side by side', async () => {
    const socket = tls.connect({
      ...{ host: '127.0.0.1', port: front.port, servername: HOST, ca: certificate, ALPNProtocols: ['h2'] },
      // Passed on to net.connect.
      ...{ localAddress: VISITOR },
    })
    await once(socket, 'secureConnect')
    expect(socket.alpnProtocol).toBe('h2')
    const session = http2.connect(`https://${HOST}`, { createConnection: () => socket })
    const seen = Array.from({ length: 10 }, async () => {
      const stream = session.request({ ':authority': HOST, ':path': '/seen', ...SPOOFED })
      stream.end()
      return JSON.parse(await text(stream))
    })
    expect(await Promise.all(seen)).toEqual(Array.from({ length: 10 }, () => SEEN))
    session.close()
    await once(session, 'close')
  })

  check('events come when they are sent, and a large upload is no matter', async () => {
    const response = await ask(front.port, { path: '/events' })
    const [data] = (await once(response, 'data')) as [Buffer]
    expect(data.toString()).toBe('data: first\n\n')
    response.destroy()
    const body = Buffer.alloc(20 * 1024 * 1024, 'x')
    expect(await askJson(front.port, { path: '/upload', method: 'POST', body })).toBe(body.length)
  })

  check('http is redirected to https', async () => {
    if (front.plainPort === undefined) return
    const request = http.get({
      host: '127.0.0.1',
      port: front.plainPort,
      path: '/a?b',
      headers: { host: HOST },
      agent: false,
    })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    expect(response.statusCode).toBe(308)
    // Caddy says by which port it is reached in this test.
    expect(response.headers.location?.replace(`:${front.port}`, '')).toBe(`https://${HOST}/a?b`)
  })

  check('a host below a name says which certificate is missing', async () => {
    if (!program.passesNested) return
    const response = await ask(front.port, { path: '/', headers: { host: `app.${HOST}` } })
    expect([response.statusCode, response.headers['tunnel-error']]).toEqual([404, 'nested-name'])
    response.resume()
  })
})
