/** Visitors that read slowly, or not at all, by a clock that the test moves on. */
import { once } from 'node:events'
import http2 from 'node:http2'
import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { BODY_IDLE_MS, H2_PING_MS, SWEEP_MS } from '@postern/protocol/limits'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { SeenRequest, until, visit } from '../testing/h2-visitor.ts'
import { type PublicStand, startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute, type ScriptedStream } from '../testing/scripted-route.ts'

const MiB = 1024 * 1024
/** More than the system takes for a connection whose reader does not read. */
const BYTES = 20 * MiB
/** The system takes more when a third of what it has taken is read. */
const STEP_BYTES = 3 * MiB
const PIECE = 'x'.repeat(64 * 1024)

beforeEach(() => {
  // Of the sweeper, so that a deadline is looked at when the test says so.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
})

interface Visitor {
  /** What it gets behind the head, as far as it reads. */
  readonly body: Readable
  /** Whether the end of it was that of a whole response. */
  whole(): boolean
  /** Shows that it is there, where that can be shown without reading. */
  shows?(): Promise<void>
}

async function byHttp1(port: number, version: '1.0' | '1.1'): Promise<Visitor> {
  const socket = connect({ port, host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  let ended = false
  socket.on('error', () => {})
  socket.on('end', () => {
    ended = true
  })
  socket.write(`GET / HTTP/${version}\r\nHost: demo.example.com\r\nConnection: close\r\n\r\n`)
  return { body: socket, whole: () => ended }
}

async function byHttp2(port: number): Promise<Visitor> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  onTestFinished(() => session.destroy())
  session.on('error', () => {})
  const stream = session.request({ ':authority': 'demo.example.com' })
  stream.on('error', () => {})
  let ended = false
  stream.on('end', () => {
    ended = stream.rstCode === 0
  })
  const shows = (): Promise<void> => new Promise((resolve) => session.ping(() => resolve()))
  return { body: stream, whole: () => ended, shows }
}

/** Reads so many bytes more, as they come. */
async function read(body: Readable, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const chunk = body.read(Math.min(left, body.readableLength)) as Buffer | null
    if (chunk !== null) left -= chunk.length
    else await once(body, 'readable', { signal: AbortSignal.timeout(10_000) })
  }
}

/** Its body comes in pieces, as from a channel. */
function answer(stream: ScriptedStream): void {
  for (let sent = 0; sent < BYTES; sent += PIECE.length) stream.answer(PIECE)
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Lets time pass, and the deadlines be looked at. */
function pass(stand: PublicStand, ms: number): void {
  stand.wait(ms)
  vi.advanceTimersByTime(SWEEP_MS)
}

const VISITORS: [version: string, visit: (port: number) => Promise<Visitor>][] = [
  ['HTTP/1.1', (port) => byHttp1(port, '1.1')],
  ['HTTP/2.0', byHttp2],
]

test.each(VISITORS)('who reads slowly by %s gets the whole response, however long it takes', async (version, visit) => {
  const route = new ScriptedRoute()
  const stand = await startPublicStand(toDemo(route))
  const { body, whole } = await visit(stand.port)
  const { stream } = await route.leased(0)
  stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`)
  answer(stream)
  for (let step = 0; step < 4; step += 1) {
    await read(body, STEP_BYTES)
    pass(stand, 0.7 * BODY_IDLE_MS)
    expect(stand.recorded).toEqual([])
  }
  body.resume()
  await once(body, 'end')
  expect(whole()).toBe(true)
  await expect.poll(() => stand.recorded).toEqual([`${version} 200 whole -`])
})

test.each(VISITORS)(
  'who stops reading by %s is cut when nothing has moved for as long as it may',
  async (version, visit) => {
    const route = new ScriptedRoute()
    const stand = await startPublicStand(toDemo(route))
    const { body, shows } = await visit(stand.port)
    const { stream } = await route.leased(0)
    stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`)
    answer(stream)
    await read(body, STEP_BYTES)
    // Twice, since the first look sees that something has moved after it had begun to wait.
    for (let passed = 0; passed < 3 * BODY_IDLE_MS && stand.recorded.length === 0; passed += H2_PING_MS) {
      await (shows ?? turn)()
      pass(stand, H2_PING_MS)
    }
    await expect.poll(() => stand.recorded).toEqual([`${version} 200 cut body-timeout`])
    expect(stream.state).toBe('reset')
  },
)

test('a response in chunks that flows to a visitor of HTTP/1.0 goes on after it had once fallen behind', async () => {
  const route = new ScriptedRoute()
  const stand = await startPublicStand(toDemo(route))
  const { body, whole } = await byHttp1(stand.port, '1.0')
  const { stream } = await route.leased(0)
  stream.answer(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${BYTES.toString(16)}\r\n`)
  answer(stream)
  await read(body, BYTES)
  await until(() => stream.consumed > BYTES)
  // Nothing of this is the visitor's.
  stream.answer('\r\n5\r\n')
  for (let step = 0; step < 4; step += 1) {
    stream.answer('hello')
    stream.answer('\r\n5\r\n')
    await read(body, 5)
    pass(stand, 0.7 * BODY_IDLE_MS)
    expect(stand.recorded).toEqual([])
  }
  stream.answer('hello\r\n0\r\n\r\n')
  body.resume()
  await once(body, 'end')
  expect(whole()).toBe(true)
})

/** Sends a piece of the body at a time, far apart. */
async function uploadSlowly(stand: PublicStand, stream: ScriptedStream, send: (piece: string) => void): Promise<void> {
  for (let step = 0; step < 4; step += 1) {
    const before = stream.received.length
    send('piece')
    await stream.until(({ received }) => received.length > before)
    pass(stand, 0.7 * BODY_IDLE_MS)
    expect(stand.recorded).toEqual([])
  }
}

test.each([100, 103])('an upload by HTTP/2 that moves behind a %i is not cut', async (status) => {
  const route = new ScriptedRoute()
  const stand = await startPublicStand(toDemo(route))
  const seen = new SeenRequest(visit(stand.port), { ':method': 'PUT' }, false)
  const { stream } = await route.leased(0)
  stream.answer(`HTTP/1.1 ${status} Interim\r\n\r\n`)
  await until(() => seen.interim.length > 0)
  await uploadSlowly(stand, stream, (piece) => seen.stream.write(piece))
  seen.stream.end()
  await stream.until(({ received }) => received.endsWith('0\r\n\r\n'))
  stream.answer('HTTP/1.1 204 No Content\r\n\r\n')
  await seen.closed
  expect(stand.recorded).toEqual(['HTTP/2.0 204 whole -'])
})

test.each(['HTTP/1.1', 'HTTP/2.0'])(
  'an upload by %s that moves beside an early response that is not read is not cut',
  async (version) => {
    const route = new ScriptedRoute()
    const stand = await startPublicStand(toDemo(route))
    let send: (piece: string) => void
    if (version === 'HTTP/1.1') {
      const socket = connect({ port: stand.port, host: '127.0.0.1' })
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => {})
      socket.write('PUT / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 1000\r\n\r\n')
      send = (piece) => socket.write(piece)
    } else {
      const session = visit(stand.port)
      const upload = session.request({ ':authority': 'demo.example.com', ':method': 'PUT' })
      upload.on('error', () => {})
      send = (piece) => upload.write(piece)
    }
    const { stream } = await route.leased(0)
    stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`)
    answer(stream)
    await uploadSlowly(stand, stream, send)
  },
)
