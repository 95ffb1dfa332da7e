/** A node on its own is killed, and started again: visitors of its tunnels wait for the agents, and no name with an owner is unknown. */
import { once } from 'node:events'
import http from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { ENV } from '@postern/protocol/environment'
import { AWAY_MS } from '@postern/protocol/limits'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askOnce } from '../support/http-client.ts'
import { contentOf, fieldOf, type Message, statusOf } from '../support/http-message.ts'
import { type Ports, type System, startSystem } from '../support/start-system.ts'
import { SteadyWork } from '../support/steady-work.ts'
import type { TestProcess } from '../support/test-process.ts'

/** A lease is over after 6 s, a hold after 4 s. */
const TIME_SCALE = 0.4
/** What the agent is away after the node is back: less than a hold, and less than the lease that the former node has left behind. */
const AGENT_AWAY_MS = 1500

let system: System
let origin: http.Server
const undo: (() => unknown)[] = []

beforeEach(async () => {
  system = await startSystem({ withoutDataPlane: true, env: { POSTERN_TIME_SCALE: String(TIME_SCALE) } })
  origin = http.createServer((request, response) => {
    request.resume().on('end', () => response.end(`${request.method} ${request.url}`))
  })
  origin.listen(0, '127.0.0.1')
})

afterEach(async () => {
  await system.stop()
  for (const step of undo.splice(0).reverse()) await step()
  origin.close()
  origin.closeAllConnections()
})

const get = (host: string, path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const refusal = (answer: Message): unknown[] => [statusOf(answer), fieldOf(answer, 'tunnel-error')]

type Changes = Record<string, string | undefined>

/** A node without a key for others, as `npm start` has it. */
const withoutKey = async (): Promise<Changes> => ({ [ENV.hopSecretFile]: undefined })
const withKey = async (): Promise<Changes> => ({})
/** Its row names an address at which nothing answers, as that of a machine that is gone. */
async function lostAddress(): Promise<Changes> {
  const sockets: Socket[] = []
  const silent = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
  })
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  undo.push(() => {
    silent.close()
    for (const socket of sockets) socket.destroy()
  })
  return { [ENV.peerAddress]: `127.0.0.1:${(silent.address() as AddressInfo).port}` }
}

async function startNode(ports: Ports | undefined, changes: Changes): Promise<TestProcess> {
  const node = await system.startDataPlane(ports, changes)
  system.control.use({ channelPort: system.ports.channel })
  return node
}

test.each([
  ['without a key for other nodes', withoutKey],
  ['with one', withKey],
  ['with one, and its former address answers nobody', lostAddress],
])('a node that is alone (%s) is killed and started again under visitors: no request fails', async (_how, changes) => {
  const former = await startNode(undefined, await changes())
  const { ports } = system
  const { port: target } = origin.address() as AddressInfo
  const { host, process: agent } = await system.startAgent({ subdomain: 'lone', target, server: system.controlUrl })
  let gone = false
  const work = new SteadyWork(8, async () => {
    const mayBeCut = !gone
    try {
      const answer = await askOnce(ports.public, get(host, '/work'))
      return statusOf(answer) === 200 ? contentOf(answer).toString() : refusal(answer).join(' ')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED' && !mayBeCut) return String(error)
      await delay(20)
      return 'no node'
    }
  })
  await work.again(5)
  // Its agent comes back later than visitors do.
  agent.kill('SIGSTOP')
  former.kill('SIGKILL')
  await former.exited
  gone = true
  await startNode(ports, await changes())
  await delay(AGENT_AWAY_MS)
  agent.kill('SIGCONT')
  await work.again(5)
  await work.stop()
  // A node that stops with an agent on it would wait for the former node to take it, whose lease still runs.
  await agent.stop()
  expect([...work.outcomes.keys()].sort()).toEqual(['GET /work', 'no node'])
  const held = work.outcomes.get('GET /work')
  console.info(`lone node killed and started again: 0 failed of ${held} requests, the agent ${AGENT_AWAY_MS} ms later`)
})

test('a name that somebody has is offline, not unknown: before its first agent, and long after its last', async () => {
  await startNode(undefined, await withoutKey())
  const { ports, base, stores } = system
  await system.token('tester')
  const reserve = (name: string) => {
    const newId = () => '01J00000000000000000000009'
    return stores.reservations.reserve({ name, username: 'tester', ephemeral: false, now: Date.now(), newId })
  }
  const ask = async (name: string): Promise<unknown[]> => {
    const answer = await askOnce(ports.public, get(`${name}.${base}`))
    return [...refusal(answer), fieldOf(answer, 'retry-after')]
  }
  const { reservationId } = await reserve('long-gone')
  const channel = { name: 'long-gone', slot: 0, connId: 'c' }
  const now = Date.now() - 10 * AWAY_MS
  const { epoch } = await stores.routes.claim({
    ...{ ...channel, reservationId, now, taskId: 't', bootId: 'b', instanceId: 'i', pool: false },
    ...{ username: 'tester', tokenHash: 'h' },
  })
  const wait = { awayUntil: now + AWAY_MS, holdMs: 10_000, heldUntil: now + AWAY_MS }
  await stores.routes.release({ ...channel, epoch, now, wait })
  await reserve('unborn')
  await reserve('given-back')
  await stores.reservations.release({ name: 'given-back', owner: 'tester', now: Date.now() })
  const offline = [503, 'tunnel-offline', '2']
  const unknown = [404, 'tunnel-not-found', undefined]
  expect([await ask('long-gone'), await ask('unborn')]).toEqual([offline, offline])
  expect([await ask('given-back'), await ask('nobody')]).toEqual([unknown, unknown])
})
