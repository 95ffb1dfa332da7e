import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as startRequest,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { MAX_WINDOW_BYTES } from '@postern/protocol/limits'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { patternedHash, patternedStream } from '../support/patterned-bytes.ts'
import { canReadMemory, forgetPeak, memoryOf } from '../support/peak-memory.ts'
import { heldByConnection } from '../support/socket-buffers.ts'
import { StalledWriting } from '../support/stalled-writing.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'

const MiB = 1024 * 1024
/** Those whose reader stops: the local server's and the visitor's. A channel is read always, its streams' windows are what fills. */
const STALLED_CONNECTIONS = 2
/** Agent and task; a hop between two tasks is one more. */
const WINDOWS = process.env.POSTERN_TEST_HOP === '1' ? 2 : 1
/** What is under way when nobody reads fills the buffers of the sockets and the windows between, and what each process has in hand; no more. */
const UNDER_WAY = STALLED_CONNECTIONS * heldByConnection() + WINDOWS * MAX_WINDOW_BYTES + 2 * MiB
/** Of what is written to somebody who does not read. */
const STALLED_SIZE = UNDER_WAY + 16 * MiB
const FULL = process.env.POSTERN_FULL === '1'
const SIZE = FULL ? 1024 * MiB : 256 * MiB
/**
 * Resident, at the peak, of the data plane and of the agent each: on Node 24 a data plane reaches 142 to 150 beside nothing else, and 167 on a
 * busy machine. Whoever kept what passes would have more than that, at the smaller SIZE too.
 */
const CEILING_MIB = 200

let system: System
let server: Server
let agent: RunningAgent
let stalled: StalledWriting
/** Until then nothing of an upload to /later is read. */
let startReading: () => void
const readingStarts = new Promise<void>((resolve) => {
  startReading = resolve
})

beforeAll(async () => {
  server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  system = await startSystem()
  agent = await system.startAgent({ subdomain: 'bulk', target: (server.address() as AddressInfo).port })
})

afterAll(async () => {
  await system?.stop()
  server?.closeAllConnections()
  server?.close()
})

/** GET /stalled: the pattern, to a visitor that does not read at first. GET /down?bytes=n: that many. POST: the hash and length of what came. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/stalled') {
    stalled = new StalledWriting(response.writeHead(200), STALLED_SIZE)
    return
  }
  if (request.method === 'GET') {
    const url = new URL(request.url!, 'http://x')
    const bytes = Number(url.searchParams.get('bytes'))
    response.writeHead(200, url.pathname === '/down' ? { 'content-length': bytes } : {})
    // A visitor that stops reading, or leaves, is what some tests are about.
    await pipeline(patternedStream(bytes), response).catch(() => undefined)
    return
  }
  if (request.url === '/later') await readingStarts
  const { hash, bytes } = await digest(request)
  response.end(JSON.stringify({ hash, bytes, length: request.headers['content-length'] ?? null }))
}

async function digest(source: AsyncIterable<Buffer>): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of source) {
    hash.update(piece)
    bytes += piece.length
  }
  return { hash: hash.digest('hex'), bytes }
}

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string | number>
  readonly body?: number
}

/** A request whose body is still to be written. */
const open = ({ method, path, headers = {} }: Asked): ClientRequest =>
  startRequest({
    host: '127.0.0.1',
    port: system.publicPort,
    method,
    path,
    agent: false,
    headers: { host: agent.host, ...headers },
  })

async function ask(asked: Asked): Promise<IncomingMessage> {
  const request = open(asked)
  const answered = once(request, 'response')
  if (asked.body === undefined) request.end()
  else await pipeline(patternedStream(asked.body), request)
  const [response] = (await answered) as [IncomingMessage]
  return response
}

const processes = (): [name: string, pid: number][] => [
  ['data plane', system.dataPlane.pid],
  ['agent', agent.process.pid],
]

describe.sequential(`${SIZE / MiB} MiB`, { timeout: FULL ? 300_000 : 60_000 }, () => {
  const expected = patternedHash(SIZE)

  beforeAll(() => {
    if (canReadMemory) for (const [, pid] of processes()) forgetPeak(pid)
  })

  test('down, with Content-Length', async () => {
    const response = await ask({ method: 'GET', path: `/down?bytes=${SIZE}` })
    expect(response.headers['content-length']).toBe(String(SIZE))
    expect(await digest(response)).toEqual({ hash: expected, bytes: SIZE })
  })

  test('down, chunked', async () => {
    const response = await ask({ method: 'GET', path: `/chunked?bytes=${SIZE}` })
    expect(response.headers['transfer-encoding']).toBe('chunked')
    expect(await digest(response)).toEqual({ hash: expected, bytes: SIZE })
  })

  test('up, with Content-Length', async () => {
    const response = await ask({ method: 'POST', path: '/', headers: { 'content-length': SIZE }, body: SIZE })
    const told = JSON.parse(await text(response))
    expect(told).toEqual({ hash: expected, bytes: SIZE, length: String(SIZE) })
  })

  test('up, chunked', async () => {
    const response = await ask({ method: 'POST', path: '/', body: SIZE })
    expect(JSON.parse(await text(response))).toEqual({ hash: expected, bytes: SIZE, length: null })
  })

  test.skipIf(!canReadMemory)(`neither process has held ${CEILING_MIB} MiB (needs /proc)`, () => {
    expectLittleMemory()
  })
})

describe('whoever does not read', () => {
  test('a visitor holds the local server back, not the visitor beside it; nothing is lost when it reads after all', async () => {
    const response = await ask({ method: 'GET', path: '/stalled' })
    response.pause()
    expect(await stalled.heldBackAt).toBeLessThan(UNDER_WAY)
    const beside = await ask({ method: 'GET', path: `/down?bytes=${8 * MiB}` })
    expect((await digest(beside)).bytes).toBe(8 * MiB)
    expect(await digest(response)).toEqual({ hash: patternedHash(STALLED_SIZE), bytes: STALLED_SIZE })
    expectLittleMemory()
  })

  test('a local server holds the visitor back; nothing is lost when it reads after all', async () => {
    const request = open({ method: 'POST', path: '/later' })
    const answered = once(request, 'response')
    const writing = new StalledWriting(request, STALLED_SIZE)
    expect(await writing.heldBackAt).toBeLessThan(UNDER_WAY)
    startReading()
    const [response] = (await answered) as [IncomingMessage]
    expect(JSON.parse(await text(response))).toMatchObject({ hash: patternedHash(STALLED_SIZE), bytes: STALLED_SIZE })
    expectLittleMemory()
  })
})

function expectLittleMemory(): void {
  if (!canReadMemory) return
  for (const [name, pid] of processes()) expect(memoryOf(pid).peak, name).toBeLessThan(CEILING_MIB)
}

async function text(response: IncomingMessage): Promise<string> {
  let all = ''
  for await (const piece of response) all += piece
  return all
}
