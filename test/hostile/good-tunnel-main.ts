/** The process of a good tunnel: see good-tunnel.ts. Knows nothing of why it is watched. */
import { once } from 'node:events'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { dialAgent } from './dial-agent.ts'
import type { GoodTunnelOrder, Pace } from './good-tunnel.ts'

const VISITORS = 4
/** Four visitors 25 times a second: well below what a task can do, so that what is missing was taken from it. */
const PACE_MS = 40
const ANSWER = 'good morning\n'

async function main(): Promise<void> {
  const [order] = (await once(process, 'message')) as [GoodTunnelOrder]
  const server = createServer((_, response) => response.end(ANSWER)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await dialAgent(order.ticket, (server.address() as AddressInfo).port)

  const agent = new Agent({ keepAlive: true })
  let since = performance.now()
  let answered = 0
  let failed = 0
  let longest = 0
  const visit = async (): Promise<void> => {
    for (let next = performance.now(); ; next += PACE_MS) {
      await setTimeout(Math.max(0, next - performance.now()))
      const asked = performance.now()
      if (await isGreeted(agent, order)) answered += 1
      else failed += 1
      longest = Math.max(longest, performance.now() - asked)
    }
  }
  for (let i = 0; i < VISITORS; i += 1) void visit()

  process.on('message', () => {
    const now = performance.now()
    const perSecond = (answered * 1000) / (now - since)
    process.send!({ answered, failed, perSecond, longest: Math.round(longest) } satisfies Pace)
    since = now
    answered = 0
    failed = 0
    longest = 0
  })
  process.on('disconnect', () => process.exit(0))
  process.send!('begun')
}

function isGreeted(agent: Agent, { publicPort, host }: GoodTunnelOrder): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ agent, host: '127.0.0.1', port: publicPort, headers: { host } }, (response) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve(response.statusCode === 200 && text === ANSWER))
      response.on('error', () => resolve(false))
    })
    request.on('error', () => resolve(false))
  })
}

await main()
