/** The process of a greedy tenant: many channels, each with as many visitors as it takes who ask for much and read nothing. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { patternedStream } from '../support/patterned-bytes.ts'
import { dialAgent } from './dial-agent.ts'
import type { GreedyCommand, GreedyCounts, GreedyOrder } from './greedy-tenant.ts'

const ENDLESS_BYTES = 1024 ** 4
/** Connections that are made at once. */
const WIDTH = 64

const [order] = (await once(process, 'message')) as [GreedyOrder]
const server = createServer((_, response) => {
  // That nobody reads it to its end is the experiment.
  pipeline(patternedStream(ENDLESS_BYTES), response).catch(() => {})
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
  socket.write(`GET /endless HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
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

process.on('message', async (command: GreedyCommand) => {
  if (command === 'stall') {
    gone = 0
    await stallAll()
  }
  const counts: GreedyCounts = { stalled: standing.size, gone }
  if (command === 'leave') {
    for (const socket of standing) socket.resetAndDestroy()
    standing.clear()
  }
  process.send!(counts)
})
process.on('disconnect', () => process.exit(0))
process.send!('begun')
