/** The process of a greedy tenant: many channels, each with as many visitors as it takes who ask for much and read nothing. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { patternedStream } from '../support/patterned-bytes.ts'
import { dialAgent } from './dial-agent.ts'
import type { GreedyCommand, GreedyCounts, GreedyOrder } from './greedy-tenant.ts'

/**
 * The system takes up to 4 MiB for a connection of this machine to itself that nobody reads (tcp_wmem), and only then does the task hold
 * anything. A window more than that, and little else: answers without end would fill the local server's end as well, and then the system has
 * no memory left for anybody's connections (tcp_mem), which is no doing of the task's.
 */
const ANSWER_BYTES = 5 * 1024 * 1024
/** Connections that are made at once. */
const WIDTH = 64
/** Local server and agent are of this process: while anything flows it takes several times this share of a processor, and otherwise half of it. */
const STILL_SHARE = 0.05
/** It has taken no more for so long: all that is on the way is full. */
const STILL_MS = 1000
const LONGEST_FILLING_MS = 120_000
const NOTHING = Buffer.alloc(0)

const [order] = (await once(process, 'message')) as [GreedyOrder]
const server = createServer((_, response) => {
  // That nobody reads it to its end is the experiment.
  pipeline(patternedStream(ANSWER_BYTES), response).catch(() => {})
}).listen(0, '127.0.0.1')
await once(server, 'listening')
for (const ticket of order.tickets) await dialAgent(ticket, (server.address() as AddressInfo).port)

const standing = new Set<Socket>()
let gone = 0

/** Asks, and reads no more than that something came: a socket without a listener takes only what the system takes for it. */
async function stall(host: string): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: order.publicPort, localAddress: '127.0.0.3' })
  standing.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => {
    if (standing.delete(socket)) gone += 1
  })
  socket.write(`GET /much HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const first = await Promise.race([once(socket, 'readable'), once(socket, 'close')]).catch(() => undefined)
  const head: Buffer | null = first === undefined ? null : socket.read(12)
  if (head?.toString() !== 'HTTP/1.1 200') socket.destroy()
}

async function stallAll(): Promise<void> {
  const hosts = order.hosts.flatMap((host) => Array.from({ length: order.visitors }, () => host))
  const worker = async (): Promise<void> => {
    for (let host = hosts.pop(); host !== undefined; host = hosts.pop()) await stall(host)
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
}

/** @throws Error if it takes too long: then the experiment is not what it says */
async function standStill(): Promise<void> {
  const deadline = performance.now() + LONGEST_FILLING_MS
  for (;;) {
    const before = process.cpuUsage()
    await setTimeout(STILL_MS)
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 < STILL_SHARE * STILL_MS) return
    if (performance.now() > deadline) throw new Error(`Bytes still flow after ${LONGEST_FILLING_MS} ms.`)
  }
}

/** Whoever does not read hears of a reset only when it writes; nothing is sent by this. */
const hearOfResets = (): Promise<unknown> =>
  Promise.all([...standing].map((socket) => new Promise((resolve) => socket.write(NOTHING, resolve))))

process.on('message', async (command: GreedyCommand) => {
  if (command === 'stall') {
    gone = 0
    await stallAll()
    await standStill()
  }
  await hearOfResets()
  const counts: GreedyCounts = { stalled: standing.size, gone }
  if (command === 'leave') {
    for (const socket of standing) socket.resetAndDestroy()
    standing.clear()
  }
  process.send!(counts)
})
process.on('disconnect', () => process.exit(0))
process.send!('begun')
