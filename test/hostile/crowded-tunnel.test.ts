/** Visitors that take every stream of a tunnel and give none back, from one address or from two, and newcomers from another. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { askOnce } from '../support/http-client.ts'
import { statusOf } from '../support/http-message.ts'
import { dialAgent } from './dial-agent.ts'
import { tell } from './experiment.ts'
import { BASE, lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

const NEWCOMERS = size(5, 20)
const PIPELINED = 50
/** Who has kept a stream for a second is evicted at the earliest. */
const TIME_SCALE = size(0.1, 1)
const NEWCOMER = '127.0.0.4'

let task: TaskProcess
beforeAll(async () => {
  task = await startTaskProcess({ POSTERN_TIME_SCALE: String(TIME_SCALE) })
})
afterAll(() => task.stop())

const answer: RequestListener = ({ url }, response) => {
  if (url === '/quick') response.end('quick')
  else if (url === '/events') response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
}

interface Crowd {
  readonly name: string
  readonly addresses: readonly string[]
  readonly request: (host: string) => string
  /** Of the response, once the stream is taken; undefined: the local server sees the request. */
  readonly begins?: string
}

const CROWDS: readonly Crowd[] = [
  {
    name: 'hanging',
    addresses: ['127.0.0.2'],
    request: (host) => `GET /hang HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(PIPELINED),
  },
  {
    name: 'sockets',
    addresses: ['127.0.0.2', '127.0.0.3'],
    request: (host) => `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    begins: 'HTTP/1.1 101',
  },
  {
    name: 'events',
    addresses: ['127.0.0.2', '127.0.0.3'],
    request: (host) => `GET /events HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    begins: 'HTTP/1.1 200',
  },
]

/** A tunnel with that crowd in it. */
async function crowded({ name, addresses, request, begins }: Crowd) {
  const host = `${name}.${BASE}`
  let taken = 0
  const server = createServer((incoming, response) => {
    if (incoming.url !== '/quick') taken += 1
    answer(incoming, response)
  })
  const upgraded: Socket[] = []
  server.on('upgrade', (_request, socket: Socket) => {
    taken += 1
    upgraded.push(socket)
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const channel = await dialAgent(await task.desk.issue(name, task.channelPort), (server.address() as AddressInfo).port)
  let ended = 0
  const sockets = Array.from({ length: STREAMS_PER_CHANNEL }, (_, index) => {
    const socket = connect({
      port: task.publicPort,
      host: '127.0.0.1',
      localAddress: addresses[index % addresses.length],
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      ended += 1
    })
    socket.write(request(host))
    return socket
  })
  const begun = sockets.map(async (socket) => {
    if (begins === undefined) return void socket.resume()
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString('latin1').slice(0, begins.length)).toBe(begins)
  })
  await Promise.all(begun)
  await expect.poll(() => taken).toBe(STREAMS_PER_CHANNEL)
  return {
    host,
    ended: () => ended,
    async stop() {
      for (const socket of sockets) socket.destroy()
      channel.leave(0)
      await channel.ended
      // A server gives up the sockets that it has upgraded.
      for (const socket of upgraded) socket.destroy()
      server.close()
      server.closeAllConnections()
    },
  }
}

test('row 24: who takes every stream of a tunnel and gives none back does not keep a newcomer out', async () => {
  const began = performance.now()
  const counts: string[] = []
  for (const crowd of CROWDS) {
    const { host, ended, stop } = await crowded(crowd)
    const statuses: number[] = []
    for (let n = 0; n < NEWCOMERS; n += 1) {
      const target = { port: task.publicPort, host: '127.0.0.1', localAddress: NEWCOMER }
      const quick = await askOnce(target, `GET /quick HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      statuses.push(statusOf(quick))
    }
    const served = statuses.filter((status) => status === 200).length
    counts.push(`${crowd.name} ${served} of ${NEWCOMERS} (${ended()} evicted)`)
    await stop()
    expect(statuses, crowd.name).toEqual(Array(NEWCOMERS).fill(200))
  }
  tell(24, `newcomers served while ${STREAMS_PER_CHANNEL} streams are taken: ${counts.join(', ')}`, began)
  expect(task.alive).toBe(true)
  expect(lastWords(task.log)).toEqual([])
}, 300_000)
