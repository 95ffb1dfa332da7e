/** Requests that cross a GOAWAY: refused by the GOAWAY itself, since `node:http2` corrupts memory where it resets their streams. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { BODY_IDLE_MS } from '@postern/protocol/limits'
import { expect, onTestFinished, test } from 'vitest'
import { frame, headersFrame, PREFACE, resetFrame, SETTINGS } from '../../testing/h2-frames.ts'
import { SeenRequest, until, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { ScriptedRoute } from '../../testing/scripted-route.ts'

const [DATA, RST_STREAM, PING, GOAWAY] = [0, 3, 6, 7]
const REQUESTS = Array.from({ length: 50 }, (_, index) => headersFrame(2 * index + 1, index % 2 === 0 ? 'GET' : 'POST'))

async function connected(port: number) {
  const socket = connect({ port, host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  await once(socket, 'connect')
  const send = (...frames: Buffer[]) => new Promise((sent) => socket.write(Buffer.concat(frames), sent))
  return { socket, send, types: () => typesOf(Buffer.concat(received)) }
}

/** Of the frames that came. */
function typesOf(bytes: Buffer): number[] {
  const types: number[] = []
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) types.push(bytes[at + 3]!)
  return types
}

test.each<[when: string, crossed: boolean]>([
  ['behind the visitor’s own GOAWAY', false],
  ['that the kernel has when the node says GOAWAY', true],
])('requests %s are answered by GOAWAY and FIN alone', async (_when, crossed) => {
  const route = new ScriptedRoute()
  const { port, listener, recorded } = await startPublicStand(toDemo(route))
  const { socket, send, types } = await connected(port)
  await send(PREFACE, SETTINGS)
  await until(() => types().length > 0)
  if (crossed) {
    await send(...REQUESTS)
    void listener.drain(60_000)
  } else await send(frame(GOAWAY, 0, 0, Buffer.alloc(8)), ...REQUESTS)
  await once(socket, 'end')
  expect([types().includes(GOAWAY), types().includes(RST_STREAM)]).toEqual([true, false])
  socket.end()
  await until(() => listener.visitors === 0)
  expect([route.leases, recorded]).toEqual([[], []])
})

test('a visitor that closes its connection before it has taken its response leaves nothing behind', async () => {
  const route = new ScriptedRoute()
  const { port, listener, recorded } = await startPublicStand(toDemo(route))
  const session = visit(port, { settings: { initialWindowSize: 2000 } })
  const request = new SeenRequest(session, {})
  request.stream.pause()
  const { stream } = await route.leased(0)
  stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: 2218\r\n\r\n${'x'.repeat(2218)}`)
  await once(request.stream, 'response')
  // node:http2 sends GOAWAY first.
  session.destroy()
  await until(() => listener.visitors === 0)
  expect([stream.state, recorded]).toEqual(['reset', ['HTTP/2.0 200 abandoned -']])
})

test('a request whose visitor resets it by NO_ERROR while its response waits ends at its deadline', async () => {
  const route = new ScriptedRoute()
  const { port, wait, recorded } = await startPublicStand(toDemo(route))
  const { send, types } = await connected(port)
  // A window of 10 bytes for each stream.
  await send(PREFACE, frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 0, 10])), headersFrame(1))
  const { stream } = await route.leased(0)
  stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: 2218\r\n\r\n${'x'.repeat(2218)}`)
  await until(() => types().includes(DATA))
  await send(resetFrame(1, 0), frame(PING, 0, 0, Buffer.alloc(8)))
  await until(() => types().includes(PING))
  await until(() => {
    wait(BODY_IDLE_MS)
    return recorded.length > 0
  })
  expect([stream.state, recorded]).toEqual(['reset', ['HTTP/2.0 200 abandoned -']])
})

test('a request that is open when the visitor says GOAWAY is answered, and the connection ends behind it', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await startPublicStand(toDemo(route))
  const session = visit(port)
  const request = new SeenRequest(session, {})
  const { stream } = await route.leased(0)
  session.goaway()
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await request.closed
  expect(request).toMatchObject({ status: 200, text: 'ok' })
  await until(() => listener.visitors === 0)
})
