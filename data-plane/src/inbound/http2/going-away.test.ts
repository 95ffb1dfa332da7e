/** Requests that cross a GOAWAY: refused by the GOAWAY itself, since `node:http2` corrupts memory where it resets their streams. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { frame, headersFrame, PREFACE, SETTINGS } from '../../testing/h2-frames.ts'
import { SeenRequest, until, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { ScriptedRoute } from '../../testing/scripted-route.ts'

const [RST_STREAM, GOAWAY] = [3, 7]
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
