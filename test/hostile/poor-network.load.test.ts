/** Fault 16 of docs/reliability.md: a long, thin path that carries every byte by itself. */
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compare } from '../support/comparison.ts'
import { converse } from '../support/converse.ts'
import { bandwidth } from '../support/fault-proxy/bandwidth.ts'
import { FaultProxy, type Faults } from '../support/fault-proxy/fault-proxy.ts'
import { latency } from '../support/fault-proxy/latency.ts'
import { slicer } from '../support/fault-proxy/slicer.ts'
import { size } from '../support/full-size.ts'
import { HTTP_SMOKE } from '../support/http-smoke.ts'
import { patternedPieces, patternedStream } from '../support/patterned-bytes.ts'
import { type Conversation, conversations } from '../support/random-conversations.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { dialAgent } from './dial-agent.ts'
import { chance, inParallel, tell } from './experiment.ts'
import { BASE, type MemoryTask, startMemoryTask } from './memory-task.ts'

/** Half of the round trip, on the channel. */
const ONE_WAY_MS = 100
const BYTES_PER_SECOND = 1_000_000
/** Each lane is a tunnel and a local server of its own; most of its time it waits. */
const LANES = size(8, 16)
const TALKS = size(40, 1000)
/** As a thousand segments take a while, and deadlines are for hangs. */
const LONGEST_TALK = size(1500, 4000)
const BULK_BYTES = size(1, 16) * 1024 * 1024

const alike = (...faults: NonNullable<Faults['toServer']>): Faults => ({ toServer: faults, toClient: faults })

let task: MemoryTask
let channels: FaultProxy
let visitors: FaultProxy
beforeAll(async () => {
  task = await startMemoryTask()
  const poor = alike(latency(ONE_WAY_MS), bandwidth(BYTES_PER_SECOND), slicer(1))
  channels = await FaultProxy.start(task.plane.ports.channel, poor)
  visitors = await FaultProxy.start(task.plane.ports.public, alike(bandwidth(BYTES_PER_SECOND), slicer(1)))
})
afterAll(async () => {
  await channels?.stop()
  await visitors?.stop()
  await task?.stop(0)
})

const sizeOf = ({ requests, responses }: Conversation): number =>
  [...requests.map(({ bytes }) => bytes), ...responses.flatMap(({ pieces }) => pieces)].join('').length

/** The sum of the lengths; that nothing differs from the pattern is asserted on the way. */
async function expectPattern(source: AsyncIterable<Buffer>, bytes: number): Promise<void> {
  const expected = Buffer.concat([...patternedPieces(bytes)])
  let at = 0
  for await (const piece of source) {
    if (!piece.equals(expected.subarray(at, at + piece.length)))
      throw new Error(`differs between ${at} and ${at + piece.length}`)
    at += piece.length
  }
  expect(at).toBe(bytes)
}

test('row 16: by 200 ms round trip, 1 MB/s and segments of one byte, HTTP is what it is directly', async () => {
  const began = performance.now()
  const seed = chance(16).bits() & 0x7fffffff
  let exchanges = 0
  const talks = fc.sample(
    conversations(() => `HOST.${BASE}`).filter((talk) => sizeOf(talk) < LONGEST_TALK),
    { numRuns: TALKS, seed },
  )
  const origins = await Promise.all(Array.from({ length: LANES }, () => ScriptedOrigin.start()))
  await inParallel(LANES, LANES, async (lane) => {
    const origin = origins[lane]!
    const subdomain = `lane-${lane}`
    const host = `${subdomain}.${BASE}`
    const channel = await dialAgent(await task.desk.issue(subdomain, channels.port), origin.port)
    for (let index = lane; index < HTTP_SMOKE.length; index += LANES) {
      const exchange = HTTP_SMOKE[index]!
      await compare({ ...exchange, origin, publicPort: visitors.port, visit: exchange.visit(host) })
      exchanges += 1
    }
    for (let index = lane; index < talks.length; index += LANES) {
      const { requests, ...rest } = talks[index]!
      const own = requests.map(({ method, bytes }) => ({ method, bytes: bytes.replace(`HOST.${BASE}`, host) }))
      const talk = { ...rest, requests: own }
      const direct = await converse(origin, origin.port, talk)
      expect(await converse(origin, visitors.port, talk)).toEqual(direct)
      exchanges += requests.length
    }
    await channel.leave(0)
  })
  await Promise.all(origins.map((origin) => origin.stop()))

  // Of bodies of a megabyte single bytes would say no more, in hours.
  channels.use(alike(latency(ONE_WAY_MS), bandwidth(BYTES_PER_SECOND)))
  visitors.use(alike(bandwidth(BYTES_PER_SECOND)))
  await bulk()
  tell(
    16,
    `${exchanges} exchanges (${HTTP_SMOKE.length} by hand, the others in ${TALKS} random conversations) by segments of one byte, ` +
      `and ${BULK_BYTES / 1024 / 1024} MiB down and up at once, with ${2 * ONE_WAY_MS} ms round trip and 1 MB/s: each as without the tunnel`,
    began,
  )
}, 1_800_000)

async function bulk(): Promise<void> {
  const server: Server = createServer(async (incoming, response) => {
    if (incoming.method === 'GET') return void (await pipeline(patternedStream(BULK_BYTES), response))
    await expectPattern(incoming, BULK_BYTES).then(
      () => response.end('whole'),
      (error) => response.writeHead(500).end(String(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const ticket = await task.desk.issue('bulk', channels.port)
  const channel = await dialAgent(ticket, (server.address() as AddressInfo).port)
  const options = { host: '127.0.0.1', port: visitors.port, headers: { host: `bulk.${BASE}` }, agent: false as const }
  const down = async (): Promise<void> => {
    const asked = request(options).end()
    const [response] = await once(asked, 'response')
    await expectPattern(response, BULK_BYTES)
  }
  const up = async (): Promise<void> => {
    const asked = request({ ...options, method: 'POST' })
    const answered = once(asked, 'response')
    await pipeline(patternedStream(BULK_BYTES), asked)
    const [response] = await answered
    let text = ''
    for await (const piece of response) text += piece
    expect(text).toBe('whole')
  }
  await Promise.all([down(), up()])
  await channel.leave(0)
  server.close()
}
