/** A local server that answers before it has read the request, and goes on reading: it gets all of it, however slowly it reads. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { dialAgent } from './dial-agent.ts'
import { BASE, type MemoryTask, startMemoryTasks } from './memory-task.ts'

vi.hoisted(() => {
  // Idle streams are looked at every 100 ms.
  process.env.POSTERN_TIME_SCALE = '0.1'
})

const BODY_BYTES = 12 * 1024 * 1024
/** 10 MB a second: what the buffers of the way hold takes several such looks. */
const PIECE_BYTES = 100 * 1024
const PIECE_MS = 10

const cleanups: (() => unknown)[] = []
let tasks: MemoryTask[]
beforeEach(async () => {
  tasks = await startMemoryTasks(2)
  cleanups.push(() => Promise.all(tasks.map((task) => task.stop(0))))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Resolves, once its only connection is over, with the bytes of the request and what came behind them. */
async function startSlowReader(): Promise<{ readonly port: number; readonly over: Promise<[number, string]> }> {
  let settle = (_seen: [number, string]): void => {}
  const over = new Promise<[number, string]>((resolve) => {
    settle = resolve
  })
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    let bytes = 0
    socket.once('readable', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nearly\n'))
    const timer = setInterval(() => {
      bytes += (socket.read(PIECE_BYTES) ?? socket.read())?.length ?? 0
    }, PIECE_MS)
    const end = (how: string): void => {
      clearInterval(timer)
      socket.destroy()
      settle([bytes, how])
    }
    socket.on('end', () => end('FIN')).on('error', ({ message }) => end(message))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, over }
}

test.each([
  ['the task that has the tunnel', 0],
  ['another task', 1],
])('an early answer cuts nothing of an upload that enters by %s', async (_title, entry) => {
  const origin = await startSlowReader()
  const channel = await dialAgent(await tasks[0]!.desk.issue('early', tasks[0]!.plane.ports.channel), origin.port)
  cleanups.push(() => channel.leave(0))
  const visitor = connect(tasks[entry]!.plane.ports.public, '127.0.0.1')
  cleanups.push(() => visitor.destroy())
  const head = `POST / HTTP/1.1\r\nHost: early.${BASE}\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`
  let answer = ''
  visitor.on('data', (chunk: Buffer) => {
    answer += String(chunk)
  })
  visitor.write(head)
  await expect.poll(() => answer.endsWith('early\n')).toBe(true)
  visitor.write(Buffer.alloc(BODY_BYTES))
  const [bytes, how] = await Promise.race([origin.over, setTimeout(60_000, [0, 'nothing'] as const)])
  expect(how).toBe('FIN')
  expect(bytes).toBeGreaterThan(BODY_BYTES)
})
