/** Connections that `node:http2` stops reading. A tenth of production's times. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { H2_PONG_MS, SWEEP_MS } from '@postern/protocol/limits'
import { expect, onTestFinished, test, vi } from 'vitest'
import { dataFrame, frame, headersFrame, PREFACE, SETTINGS } from '../../testing/h2-frames.ts'
import { SeenRequest, until, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { guarded, ScriptedRoute } from '../../testing/scripted-route.ts'
import { VisitorCeilings } from '../visitor-ceilings.ts'

vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.1'
})

const CONTINUATION = frame(9, 4, 1, Buffer.from('x'))
const GOAWAY = frame(7, 0, 0, Buffer.alloc(8))
/** Its last stream was 1; INTERNAL_ERROR. */
const GOAWAY_WITH_ERROR = frame(7, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 2]))
const BAD_HPACK = Buffer.alloc(6, 0xff)

/** What a connection sends behind its preface: nghttp2 fails on most of these, and Node 20 says nothing of it. */
const BROKEN: Readonly<Record<string, readonly Buffer[]>> = {
  'a CONTINUATION that continues nothing': [SETTINGS, headersFrame(1, 'POST'), CONTINUATION],
  'the same behind a GOAWAY': [SETTINGS, headersFrame(1, 'POST'), GOAWAY, CONTINUATION],
  'DATA on stream 0': [SETTINGS, headersFrame(1), dataFrame(0, Buffer.from('x'))],
  'DATA on an idle stream': [SETTINGS, dataFrame(1, Buffer.from('x'))],
  'a PING of one byte': [SETTINGS, headersFrame(1), frame(6, 0, 0, Buffer.from('x'))],
  'SETTINGS of five bytes': [frame(4, 0, 0, Buffer.from('xxxxx'))],
  'a frame that is too large': [SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.alloc(20_000))],
  'fields that are no HPACK': [SETTINGS, frame(1, 5, 1, BAD_HPACK)],
  'no SETTINGS': [headersFrame(1)],
  'no frame at all': [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
}

const ADDRESS = '127.0.0.2'

/** A connection from `ADDRESS` that sends these frames behind its preface. */
async function broken(port: number, frames: readonly Buffer[]): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  await new Promise((resolve) => socket.write(Buffer.concat([PREFACE, ...frames]), resolve))
  return socket
}

test.each(Object.entries(BROKEN))(
  '%s: its connection and its requests end, without waiting for an answer to PING',
  async (_what, frames) => {
    const route = new ScriptedRoute()
    const { port, listener, counted, recorded } = await startPublicStand(toDemo(route))
    const sockets = await Promise.all(Array.from({ length: 25 }, () => broken(port, frames)))
    for (const socket of sockets.slice(0, 12)) socket.destroy()
    await until(() => listener.visitors === 0)
    const requests = counted.filter((each) => each === 'request').length
    await until(() => recorded.filter((line) => line.endsWith('abandoned -')).length === requests)
    expect(route.leases.map(({ stream }) => stream.state)).toEqual(Array(requests).fill('reset'))
  },
)

test('a request that waits for its verdict is withdrawn with its connection', async () => {
  const verdicts: ((verdict: undefined) => void)[] = []
  const route = guarded(() => new Promise((resolve) => verdicts.push(resolve)))
  const { port, listener, recorded } = await startPublicStand(toDemo(route))
  await broken(port, [SETTINGS, headersFrame(1, 'POST'), CONTINUATION])
  await until(() => listener.visitors === 0 && verdicts.length === 1)
  for (const resolve of verdicts) resolve(undefined)
  await new Promise((resolve) => setImmediate(resolve))
  expect([route.leases, recorded]).toEqual([[], ['HTTP/2.0 0 abandoned -']])
})

test('while hundreds of connections from one address break, only that address is refused', async () => {
  const { port, listener, faults } = await startPublicStand(toDemo(new ScriptedRoute()), {
    ceilings: new VisitorCeilings({ perTask: 40, perAddress: 30 }),
  })
  const answered = async (): Promise<unknown> => {
    const session = visit(port)
    const request = new SeenRequest(session, { ':authority': 'none.example.com' })
    await request.closed
    session.destroy()
    return request.status
  }
  const kinds = Object.values(BROKEN)
  for (let wave = 0; wave < 10; wave++) {
    const sockets = await Promise.all(
      Array.from({ length: 25 }, (_, i) => broken(port, kinds[(wave + i) % kinds.length]!)),
    )
    for (const socket of sockets) socket.destroy()
    expect(await answered()).toBe(404)
  }
  await until(() => listener.visitors === 0)
  // Node 24 ends most of these sessions by itself, so that nobody at all may be refused.
  expect(new Set([...faults, 'visitors-exhausted'])).toEqual(new Set(['visitors-exhausted']))
})

test('a visitor that answers no PING and sends nothing is let go, and its response does not look whole', async () => {
  const route = new ScriptedRoute()
  const { port, listener, wait, recorded } = await startPublicStand(toDemo(route))
  const socket = await broken(port, [SETTINGS, headersFrame(1)])
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  const closed = once(socket, 'close')
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  await until(() => {
    wait(H2_PONG_MS / 10)
    return listener.visitors === 0
  })
  expect(stream.state).toBe('reset')
  expect(recorded).toEqual(['HTTP/2.0 200 abandoned -'])
  await closed
  // The connection ends by an error: behind GOAWAY(NO_ERROR) some clients take a response without its end for whole.
  expect(Buffer.concat(received).subarray(-GOAWAY_WITH_ERROR.length)).toEqual(GOAWAY_WITH_ERROR)
})

test('a visitor that reads nothing for minutes, and then goes on, gets all of its answer', async () => {
  const route = new ScriptedRoute()
  const { port, wait } = await startPublicStand(toDemo(route))
  const socket = connect({ port, host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  socket.pause()
  const largest = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])
  const more = Buffer.from([0x7f, 0, 0, 0])
  socket.write(Buffer.concat([PREFACE, frame(4, 0, 0, largest), frame(8, 0, 0, more), headersFrame(1)]))
  const { stream } = await route.leased(0)
  const body = 'x'.repeat(32 * 1024 * 1024)
  stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length + 1}\r\n\r\n`)
  stream.answer(body)
  for (let waited = 0; waited < 4; waited++) {
    wait(H2_PONG_MS)
    await new Promise((resolve) => setTimeout(resolve, 2 * SWEEP_MS))
  }
  // The last byte is left, so that the exchange goes on.
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  socket.resume()
  await until(() => bytes > body.length)
  stream.answer('!')
  await until(() => stream.consumed > body.length)
})
