/** The channel between two nodes is replaced for its age or for its bytes while visitors use it, and no request fails. Both nodes are in this process, with limits of their own. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type DataPlane, startDataPlane } from '@postern/data-plane'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import pino from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HttpClient } from '../support/http-client.ts'
import { statusOf } from '../support/http-message.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { SteadyWork } from '../support/steady-work.ts'
import { eventually } from '../support/visits.ts'

const KiB = 1024
const MiB = 1024 * KiB
/** A day, and 64 GiB, take longer than a test. */
const limits = vi.hoisted(() => ({ ageMs: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }))
vi.mock('@postern/protocol/limits', async (original) => {
  const mocked = { ...(await original<typeof import('@postern/protocol/limits')>()) }
  return Object.defineProperties(mocked, {
    CHANNEL_AGE_MS: { get: () => limits.ageMs, enumerable: true },
    CHANNEL_BYTES: { get: () => limits.bytes, enumerable: true },
    CHANNEL_WEAR_CHECK_MS: { value: 100, enumerable: true },
  })
})

const REPLACEMENTS = 4

interface Node {
  readonly plane: DataPlane
  readonly log: { msg: string; level: number }[]
}

let system: System
let nodes: Node[]
let origin: http.Server
let agent: http.Agent
const posts = new Map<string, number>()

beforeEach(async () => {
  const secret = newDeploymentSecret(randomBytes)
  system = await startSystem({ withoutDataPlane: true, secret })
  const hopSecret = newDeploymentSecret(randomBytes)
  nodes = [await startNode(secret, hopSecret, 'holder'), await startNode(secret, hopSecret, 'entrance')]
  system.control.use({ channelPort: nodes[0]!.plane.ports.channel })
  origin = http.createServer(serve).listen(0, '127.0.0.1')
  origin.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
    socket.on('error', () => {})
  })
  await once(origin, 'listening')
  agent = new http.Agent({ keepAlive: true })
  posts.clear()
})

afterEach(async () => {
  agent.destroy()
  await system.stop()
  await Promise.all(nodes.map(({ plane }) => plane.stop(0)))
  origin.close()
  origin.closeAllConnections()
})

/** `/bytes/<n>`: so many bytes. `/slow/<n>`: a byte every 50 ms. Otherwise the digest of what was sent. */
function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
  const [, what, count] = request.url!.split('/')
  if (what === 'bytes') return void response.end(Buffer.alloc(Number(count), 'b'))
  if (what === 'slow') return void trickle(response, Number(count))
  if (request.method === 'POST') posts.set(request.url!, (posts.get(request.url!) ?? 0) + 1)
  const hash = createHash('sha256')
  request.on('data', (chunk) => hash.update(chunk))
  request.on('end', () => response.end(hash.digest('hex')))
}

async function trickle(response: http.ServerResponse, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 1) {
    response.write('s')
    await delay(50)
  }
  response.end()
}

async function startNode(channelSecret: string, hopSecret: string, taskId: string): Promise<Node> {
  const log: Node['log'] = []
  const plane = await startDataPlane(
    {
      ...{ table: 'none', base: system.base, publicUrl: `http://{subdomain}.${system.base}` },
      ...{ publicHosts: ['127.0.0.1'], publicPort: 0, redirectPort: undefined, channelPort: 0, opsPort: 0 },
      ...{
        peerPort: 0,
        peerAddress: undefined,
        metadataUri: undefined,
        proxyProtocol: 'off',
        trustedProxies: undefined,
        nestedNames: 'all',
        channelAddress: undefined,
        ipPolicy: 'observed',
      },
      ...{ loopbackIsOne: false, channelSecret, hopSecret, apex: undefined, taskId, logLevel: 'info' },
      ...{ metrics: 'off', accessLog: 'off' },
    },
    {
      stores: system.stores,
      keys: parseDeploymentKeys(channelSecret),
      hopKeys: parseDeploymentKeys(hopSecret),
      log: pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) }),
      clock: Date.now,
      now: () => performance.now(),
      memoryLimit: 512 * MiB,
      metrics: undefined,
      lines: { begin: () => undefined, flush: () => {}, dropped: 0 },
    },
  )
  return { plane, log }
}

/** One request to the node without the tunnel. Answers what is wrong with the response, or `ok`. */
async function visit(host: string, path: string, body?: Buffer): Promise<string> {
  const { public: port } = nodes[1]!.plane.ports
  const method = body === undefined ? 'GET' : 'POST'
  const headers = { host, ...(body && { 'content-length': body.length }) }
  const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent })
  request.end(body)
  try {
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    if (response.statusCode !== 200) return `${response.statusCode} ${response.headers['tunnel-error']}`
    const [, what, count] = path.split('/')
    if (what === 'bytes' || what === 'slow') return text.length === Number(count) ? 'ok' : `${text.length} bytes`
    return text ===
      createHash('sha256')
        .update(body ?? '')
        .digest('hex')
      ? 'ok'
      : 'another digest'
  } catch (error) {
    return String(error)
  }
}

const replacements = (): number =>
  nodes[1]!.log.filter(({ msg }) => msg === 'the channel to another task was replaced').length

test.each([
  ['age', { ageMs: 1000 }],
  ['bytes', { bytes: 16 * MiB }],
])('a channel between nodes is replaced for its %s under load, again and again: no request fails', async (why, set) => {
  Object.assign(limits, { ageMs: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }, set)
  const { port } = origin.address() as AddressInfo
  const { host } = await system.startAgent({ subdomain: 'renewed', target: port, server: system.controlUrl })
  expect(await visit(host, '/')).toBe('ok')

  const echo = await HttpClient.open(nodes[1]!.plane.ports.public)
  echo.send(`GET /echo HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`)
  expect(statusOf(await echo.next())).toBe(101)

  let count = 0
  const work = new SteadyWork(16, (worker) => {
    count += 1
    if (worker % 4 === 0) return visit(host, `/post/${count}`, randomBytes(64 * KiB))
    if (worker % 4 === 1) return visit(host, `/bytes/${512 * KiB}`)
    return worker % 4 === 2 ? visit(host, '/slow/40') : visit(host, '/')
  })
  await eventually(`${REPLACEMENTS} replacements`, () => replacements() >= REPLACEMENTS)
  await work.again()
  await work.stop()
  echo.send('still here')
  await echo.connection.until('the echo', () => echo.rest.toString() === 'still here' || undefined)
  echo.close()

  expect([...work.outcomes.keys()]).toEqual(['ok'])
  expect([...posts.values()].every((times) => times === 1)).toBe(true)
  expect(nodes.flatMap(({ log }) => log.filter(({ level }) => level >= 40))).toEqual([])
  console.info(
    `channel between nodes replaced ${replacements()} times for its ${why}: 0 failed of ${work.count} requests`,
  )
})
