/** GOAWAY of a server's session, by frames as a client writes them. */
import { once } from 'node:events'
import { createServer, type ServerHttp2Session } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { frame, headersFrame, PREFACE, SETTINGS } from '../testing/h2-frames.ts'
import { GoingAway } from './going-away.ts'

const GOAWAY = frame(7, 0, 0, Buffer.alloc(8))
const REQUESTS = Array.from({ length: 50 }, (_, index) => headersFrame(2 * index + 1))

/** A client, and the session that has read its first bytes. */
async function connected(): Promise<{ client: Socket; session: ServerHttp2Session }> {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  const [session] = (await once(server, 'session')) as [ServerHttp2Session]
  session.on('error', () => {})
  onTestFinished(() => void session.destroy())
  client.resume().write(Buffer.concat([PREFACE, SETTINGS]))
  await once(session, 'remoteSettings')
  return { client, session }
}

test('node:http2 resets no request while it is read that comes behind a GOAWAY of the client', async () => {
  const { client, session } = await connected()
  const goingAway: GoingAway = new GoingAway(session, () => goingAway.begin())
  // A session that is closed resets a request instead of this.
  const closed: boolean[] = []
  const codes: number[] = []
  session.on('stream', (stream) => {
    closed.push(session.closed)
    stream.on('error', () => {}).on('close', () => codes.push(stream.rstCode))
  })
  client.write(Buffer.concat([GOAWAY, ...REQUESTS]))
  await expect.poll(() => codes.length).toBe(REQUESTS.length)
  expect([new Set(closed), new Set(codes)]).toEqual([new Set([false]), new Set([7])])
  const ended = once(client, 'end')
  goingAway.finish()
  await ended
  expect(session.closed).toBe(true)
})
