/** Connections that end while the kernel still has most of a response for the visitor. A tenth of production's times. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { H2_PING_MS, H2_PONG_MS, LINGER_MS, SWEEP_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { expect, onTestFinished, test, vi } from 'vitest'
import { frame, headersFrame, PREFACE } from '../../testing/h2-frames.ts'
import { until } from '../../testing/h2-visitor.ts'
import { type PublicStand, startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { ScriptedRoute } from '../../testing/scripted-route.ts'

vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.1'
})

const [SETTINGS, PING, WINDOW_UPDATE, ACK] = [4, 6, 8, 1]
/** Windows that no response here uses up. */
const LARGEST = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])
const MORE = Buffer.from([0x7f, 0, 0, 0])
const BODY = 'x'.repeat(2 * 1024 * 1024)

const sweep = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3 * SWEEP_MS))

/** A visitor that has read nothing of a response which the kernel has taken whole. The visitor does not close when the server does. */
async function unread(before: (stand: PublicStand) => void = () => {}): Promise<PublicStand & { socket: Socket }> {
  const route = new ScriptedRoute()
  const stand = await startPublicStand(toDemo(route))
  const socket = connect({ port: stand.port, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.pause()
  const windows = [frame(SETTINGS, 0, 0, LARGEST), frame(WINDOW_UPDATE, 0, 0, MORE)]
  socket.write(Buffer.concat([PREFACE, ...windows, headersFrame(1)]))
  const { stream } = await route.leased(0)
  before(stand)
  stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`)
  await until(() => stand.recorded.includes('HTTP/2.0 200 whole -'))
  return { ...stand, socket }
}

const drain = ({ listener }: PublicStand): void => void listener.drain(60_000)
const idle = ({ wait }: PublicStand): void => wait(VISITOR_IDLE_MS + 2 * SWEEP_MS)

test.each([
  ['drained', drain, () => {}],
  ['drained behind it', () => {}, drain],
  ['idle for too long', () => {}, idle],
])(
  'a visitor that reads slowly gets all of its response, though its connection is %s',
  async (_why, before, behind) => {
    const visitor = await unread(before)
    const { socket, wait } = visitor
    behind(visitor)
    // Of a reset: what came before counts.
    socket.on('error', () => {})
    for (let waited = 0; waited < 4; waited++) {
      await sweep()
      wait(2 * LINGER_MS)
      socket.write(frame(WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])))
    }
    let bytes = 0
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    socket.resume()
    if (!socket.closed) await Promise.race([once(socket, 'end'), once(socket, 'close')])
    expect(bytes).toBeGreaterThan(BODY.length)
  },
)

test('a visitor that neither reads on nor sends anything is let go after as long as an answer to PING may take', async () => {
  const { listener, wait } = await unread()
  const drained = listener.drain(60_000)
  let waited = 0
  await until(() => {
    if (listener.visitors === 0) return true
    wait(H2_PONG_MS / 10)
    waited += H2_PONG_MS / 10
    return false
  })
  await drained
  expect(waited).toBeGreaterThanOrEqual(H2_PONG_MS - SWEEP_MS)
})

test('a visitor that sends without end is let go all the same', async () => {
  const { socket, listener, wait } = await unread()
  socket.on('error', () => {})
  const drained = listener.drain(60_000)
  await until(() => {
    socket.write(frame(WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])))
    wait(H2_PONG_MS / 2)
    return listener.visitors === 0
  })
  await drained
})

test('a visitor that has answered a PING behind its response does not keep a node from its end', async () => {
  const { socket, listener, wait } = await unread()
  let received = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
  })
  socket.resume()
  const ping = frame(PING, 0, 0).subarray(3)
  await until(() => {
    wait(H2_PING_MS / 4)
    return received.lastIndexOf(ping) > BODY.length
  })
  const at = received.lastIndexOf(ping) + ping.length
  socket.write(frame(PING, ACK, 0, received.subarray(at, at + 8)))
  await sweep()
  let cut = false
  socket.on('error', () => {
    cut = true
  })
  const drained = listener.drain(H2_PONG_MS / 2)
  wait(LINGER_MS + 2 * SWEEP_MS)
  await drained
  await sweep()
  expect(cut).toBe(false)
})
