/** The process of a good tunnel: see good-tunnel.ts. Knows nothing of why it is watched. */
import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { patternedStream } from '../support/patterned-bytes.ts'
import { dialAgent } from './dial-agent.ts'
import { ENDLESS_BYTES, ENDLESS_PATH, type GoodTunnelOrder, type Pace } from './good-tunnel.ts'

const VISITORS = 4
/** Four visitors 25 times a second: well below what a task can do, so that what is missing was taken from it. */
const PACE_MS = 40
const ANSWER_BYTES = 13

async function main(): Promise<void> {
  const [order] = (await once(process, 'message')) as [GoodTunnelOrder]
  const { visitors = VISITORS, paceMs = PACE_MS, answerBytes = ANSWER_BYTES } = order
  const answer = Buffer.alloc(answerBytes, 'good morning\n')
  const server = createServer((request, response) => void serve(request, response, answer)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await dialAgent(order.ticket, port)

  const agent = new Agent({ keepAlive: true })
  let since = performance.now()
  let answered = 0
  let failures: Record<string, number> = {}
  let waits: number[] = []
  let directWaits: number[] = []
  const visit = async (offsetMs: number): Promise<void> => {
    for (let next = performance.now() + offsetMs; ; next += paceMs) {
      await setTimeout(Math.max(0, next - performance.now()))
      const asked = performance.now()
      const failure = await failureOf(agent, order, answer)
      if (failure === undefined) answered += 1
      else failures[failure] = (failures[failure] ?? 0) + 1
      waits.push(performance.now() - asked)
    }
  }
  const visitDirectly = async (offsetMs: number): Promise<void> => {
    for (let next = performance.now() + offsetMs; ; next += paceMs) {
      await setTimeout(Math.max(0, next - performance.now()))
      const asked = performance.now()
      await failureOf(agent, { ...order, publicPort: port }, answer)
      directWaits.push(performance.now() - asked)
    }
  }
  for (let i = 0; i < visitors; i += 1) {
    void visit((i * paceMs) / visitors)
    if (order.alsoDirect === true) void visitDirectly(((i + 0.5) * paceMs) / visitors)
  }

  process.on('message', () => {
    const now = performance.now()
    const perSecond = (answered * 1000) / (now - since)
    const longest = Math.round(Math.max(0, ...waits))
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0)
    const [p99, directP99] = [p99Of(waits), p99Of(directWaits)]
    process.send!({ answered, failed, failures, perSecond, longest, p99, directP99 } satisfies Pace)
    since = now
    answered = 0
    failures = {}
    waits = []
    directWaits = []
  })
  process.on('disconnect', () => process.exit(0))
  process.send!('begun')
}

const p99Of = (waits: readonly number[]): number =>
  [...waits].sort((a, b) => a - b)[Math.floor(0.99 * waits.length)] ?? 0

/** Whoever uploads is answered when that is over. */
async function serve(request: IncomingMessage, response: ServerResponse, answer: Buffer): Promise<void> {
  try {
    if (request.url === ENDLESS_PATH) return await pipeline(patternedStream(ENDLESS_BYTES), response)
    for await (const _ of request);
    response.end(answer)
  } catch {
    // Whoever asked has gone, or was made to.
  }
}

/** What came instead of the answer; undefined if it came. */
function failureOf(agent: Agent, order: GoodTunnelOrder, answer: Buffer): Promise<string | undefined> {
  const { publicPort: port, host, visitorAddress: localAddress = '127.0.0.1' } = order
  return new Promise((resolve) => {
    const request = get({ agent, host: '127.0.0.1', port, localAddress, headers: { host } }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => {
        if (response.statusCode === 200 && Buffer.concat(pieces).equals(answer)) return resolve(undefined)
        resolve(`${response.statusCode} ${String(response.headers['tunnel-error'] ?? 'another answer')}`)
      })
      response.on('error', ({ message }) => resolve(`in the answer: ${message}`))
    })
    request.on('error', ({ message }) => resolve(message))
  })
}

await main()
