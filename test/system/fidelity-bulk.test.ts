import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as startRequest,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { patternedHash, patternedPieces, patternedStream } from '../support/patterned-bytes.ts'
import { canReadMemory, forgetPeak, memoryOf } from '../support/peak-memory.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'

const MiB = 1024 * 1024
const FULL = process.env.POSTERN_FULL === '1'
const SIZE = FULL ? 1024 * MiB : 64 * MiB
/** Resident, at the peak, of the data plane and of the agent each. */
const CEILING_MIB = 150

let system: System
let server: Server
let agent: RunningAgent
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

/** GET /down?bytes=n: that many. POST: the hash and length of what came. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
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

async function ask({ method, path, headers = {}, body }: Asked): Promise<IncomingMessage> {
  const request = startRequest({
    host: '127.0.0.1',
    port: system.publicPort,
    method,
    path,
    agent: false,
    headers: { host: agent.host, ...headers },
  })
  const answered = new Promise<IncomingMessage>((resolve, reject) =>
    request.once('response', resolve).once('error', reject),
  )
  if (body === undefined) request.end()
  else await pipeline(patternedStream(body), request)
  return answered
}

const processes = (): [name: string, pid: number][] => [
  ['data plane', system.dataPlane.pid],
  ['agent', agent.process.pid],
]

describe.sequential(`${SIZE / MiB} MiB`, () => {
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
    for (const [name, pid] of processes()) expect(memoryOf(pid).peak, name).toBeLessThan(CEILING_MIB)
  })
})

describe('a visitor that does not read', () => {
  test('is not sent for: what is on its way stays within windows, and a visitor beside it is served', async () => {
    const stalled = await ask({ method: 'GET', path: `/down?bytes=${64 * MiB}` })
    stalled.pause()
    const beside = await ask({ method: 'GET', path: `/down?bytes=${8 * MiB}` })
    expect((await digest(beside)).bytes).toBe(8 * MiB)
    // Then it reads after all, and nothing is missing.
    expect(await digest(stalled)).toEqual({ hash: patternedHash(64 * MiB), bytes: 64 * MiB })
    if (canReadMemory) for (const [name, pid] of processes()) expect(memoryOf(pid).peak, name).toBeLessThan(CEILING_MIB)
  })
})

describe('a local server that does not read', () => {
  test('holds the visitor back, and nothing is lost when it reads after all', async () => {
    const request = startRequest({
      host: '127.0.0.1',
      port: system.publicPort,
      method: 'POST',
      path: '/later',
      agent: false,
      headers: { host: agent.host },
    })
    const answered = new Promise<IncomingMessage>((resolve) => request.once('response', resolve))
    let sent = 0
    let heldBackAt: number | undefined
    for (const piece of patternedPieces(64 * MiB)) {
      sent += piece.length
      if (request.write(piece)) continue
      const drained = once(request, 'drain')
      if ((await Promise.race([drained, setTimeout(500, 'stuck')])) === 'stuck') {
        heldBackAt = sent
        startReading()
      }
      await drained
    }
    request.end()
    expect(JSON.parse(await text(await answered))).toMatchObject({ hash: patternedHash(64 * MiB), bytes: 64 * MiB })
    // What is under way then fills the buffers of six sockets and the windows, no more.
    expect(heldBackAt).toBeLessThan(48 * MiB)
    if (canReadMemory) for (const [name, pid] of processes()) expect(memoryOf(pid).peak, name).toBeLessThan(CEILING_MIB)
  })
})

async function text(response: IncomingMessage): Promise<string> {
  let all = ''
  for await (const piece of response) all += piece
  return all
}
