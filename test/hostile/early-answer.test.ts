/** A local server that answers before it has read the request's body, and reads on: it gets all of the body, whatever the visitor does after that. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { patternedHash, patternedStream } from '../support/patterned-bytes.ts'
import { dialAgent } from './dial-agent.ts'
import { tell } from './experiment.ts'
import { BASE, type MemoryTask, startMemoryTasks } from './memory-task.ts'

const MiB = 1024 * 1024
/** What the system takes for the local server, and more than it takes. */
const BODIES = [MiB, size(16, 64) * MiB]
/** It reads so much at a time, and nothing for so long behind it: it is at it for a while after the visitor has left. */
const READS = { bytes: size(256, 64) * 1024, pauseMs: 5 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface SlowServer {
  readonly port: number
  /** What became of each request's body. */
  readonly bodies: Promise<string>[]
}

/** Answers as soon as it has read a head. */
async function startSlowServer(): Promise<SlowServer> {
  const bodies: Promise<string>[] = []
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => bodies.push(serve(socket)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, bodies }
}

async function serve(socket: Socket): Promise<string> {
  let ending = ''
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ending = error.code!
  })
  socket.on('end', () => {
    ending ||= 'FIN'
  })
  socket.on('readable', () => {})
  const hash = createHash('sha256')
  let head = ''
  let [expected, got] = [Infinity, 0]
  while (got < expected && (ending === '' || socket.readableLength > 0)) {
    let chunk = socket.read(Math.min(READS.bytes, socket.readableLength)) as Buffer | null
    if (chunk !== null && expected === Infinity) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n') + 4
      if (end < 4) continue
      expected = Number(/^content-length: (\d+)/im.exec(head)![1])
      chunk = Buffer.from(head.slice(end), 'latin1')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nearly\n')
    }
    if (chunk !== null) {
      got += chunk.length
      hash.update(chunk)
    }
    await setTimeout(READS.pauseMs)
  }
  socket.destroy()
  if (got < expected) return `${got} of ${expected} bytes, then ${ending}`
  return hash.digest('hex') === patternedHash(expected) ? 'whole' : 'other bytes'
}

/** Sends all of the body, has the answer, and leaves. Resolves with the status. */
type Visit = (port: number, host: string, bytes: number) => Promise<number>

const byHttp1: Visit = async (port, host, bytes) => {
  const socket = connect({ port, host: '127.0.0.1' })
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1')
  })
  socket.write(`POST /early HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes}\r\n\r\n`)
  await send(socket, bytes)
  // The pipeline may resolve with the last bytes still in the socket, which would go with it.
  await new Promise((sent) => socket.write('', sent))
  await expect.poll(() => answer).toMatch(/early\n$/)
  socket.destroy()
  return Number(answer.split(' ')[1])
}

const byHttp2: Visit = async (port, host, bytes) => {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const fields = { ':method': 'POST', ':path': '/early', ':authority': host, 'content-length': bytes }
  const upload = session.request(fields)
  const answered = once(upload, 'response')
  const ended = once(upload.resume(), 'end')
  await send(upload, bytes)
  const finished = once(upload, 'finish')
  upload.end()
  await finished
  const [head] = await answered
  await ended
  session.destroy()
  return head[':status']
}

const send = (upload: Writable, bytes: number): Promise<void> =>
  pipeline(patternedStream(bytes), upload, { end: false })

const VISITS: Readonly<Record<string, Visit>> = { 'HTTP/1.1': byHttp1, 'HTTP/2': byHttp2 }
const WAYS = { direct: 'open', 'by a peer': 'open', 'by a peer that has rules for it': 'judged' } as const
const CASES = Object.keys(VISITS).flatMap((version) =>
  Object.keys(WAYS).map((way) => [version, way as keyof typeof WAYS] as const),
)

test.each(CASES)(
  'row 27: an early answer cuts no upload that the local server still reads (%s, %s)',
  async (version, way) => {
    const began = performance.now()
    const [holder, entry] = (await startMemoryTasks(2)) as [MemoryTask, MemoryTask]
    cleanups.push(() => Promise.all([holder.stop(0), entry.stop(0)]))
    const server = await startSlowServer()
    const rules = way === 'by a peer that has rules for it' ? { allow: ['127.0.0.0/8'] } : {}
    const agent = await dialAgent(
      await holder.desk.issue('early', holder.plane.ports.channel, 'early'),
      server.port,
      rules,
    )
    cleanups.push(() => agent.leave(0))
    const { public: port } = (way === 'direct' ? holder : entry).plane.ports
    for (const bytes of BODIES) expect(await VISITS[version]!(port, `early.${BASE}`, bytes)).toBe(200)
    expect(await Promise.all(server.bodies)).toEqual(BODIES.map(() => 'whole'))
    tell(
      27,
      `${BODIES.map((bytes) => bytes / MiB).join(' and ')} MiB behind an early answer by ${version}, ${way}: read whole`,
      began,
    )
  },
  300_000,
)
