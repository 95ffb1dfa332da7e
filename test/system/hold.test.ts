/** An agent that is away for a moment costs its visitors a moment: its requests are held, as many and as long as docs/protocol.md says. */
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { HELD_PER_NAME, HELD_PER_TASK, HOLD_MS } from '@postern/protocol/limits'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../agent/src/connect.ts'
import type { HttpClient } from '../support/http-client.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { type AgentStart, type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { SteadyWork } from '../support/steady-work.ts'
import { ask, eventually, heldSoFar, visit } from '../support/visits.ts'

/** What the local server takes for an answer: long enough for requests to be in flight whenever an agent is killed. */
const ANSWER_AFTER_MS = 5

let system: System
let origin: http.Server
/** Every POST that reached the local server, by its path. */
const posts = new Map<string, number>()

beforeAll(async () => {
  origin = http.createServer((request, response) => {
    if (request.method === 'POST') posts.set(request.url!, (posts.get(request.url!) ?? 0) + 1)
    const hash = createHash('sha256')
    request.on('data', (chunk) => hash.update(chunk))
    request.on('end', () => setTimeout(() => response.end(hash.digest('hex')), ANSWER_AFTER_MS))
  })
  origin.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.pipe(socket)
    socket.on('error', () => {})
  })
  origin.listen(0, '127.0.0.1')
  system = await startSystem()
})

afterAll(async () => {
  await system?.stop()
  origin?.close()
  origin?.closeAllConnections()
})

const start = (subdomain: string, more: Partial<AgentStart> = {}): Promise<RunningAgent> =>
  system.startAgent({ subdomain, target: (origin.address() as AddressInfo).port, ...more })

/** Ends an agent's process, and answers how it is started again. */
async function end(tunnel: RunningAgent, signal: NodeJS.Signals): Promise<void> {
  tunnel.process.kill(signal)
  await tunnel.process.exited
}

/** A name whose agent was killed a moment ago. */
async function away(subdomain: string, more: Partial<AgentStart> = {}): Promise<RunningAgent> {
  const tunnel = await start(subdomain, more)
  await end(tunnel, 'SIGKILL')
  return tunnel
}

const get = (host: string, path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const OFFLINE = /tunnel-error: tunnel-offline/

test('an agent that is killed and started again, or stopped and started again, under steady requests: none fails', async () => {
  const subdomain = 'steady'
  let tunnel = await start(subdomain)
  const clients = await Promise.all(Array.from({ length: 12 }, () => visit(system)))
  const slow: number[] = []
  let sent = 0
  const timed = async (worker: number, request: string): Promise<string> => {
    const began = performance.now()
    const answer = await clients[worker]!.ask(request)
    const ms = performance.now() - began
    if (ms > 100) slow.push(ms)
    return String(statusOf(answer))
  }
  const gets = new SteadyWork(clients.length, (worker) => timed(worker, get(tunnel.host)))
  for (let round = 0; round < 3; round += 1) {
    await gets.again(20)
    await end(tunnel, 'SIGKILL')
    tunnel = await start(subdomain)
  }
  await gets.again(20)
  await gets.stop()
  const slowAfterKills = slow.splice(0).length

  // What may not be done twice as well: an agent that is stopped lets it end.
  const both = new SteadyWork(clients.length, (worker) => {
    sent += 1
    return timed(
      worker,
      worker % 2 === 0
        ? get(tunnel.host)
        : `POST /steady/${sent} HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 4\r\n\r\nbody`,
    )
  })
  for (let round = 0; round < 2; round += 1) {
    await both.again(20)
    await end(tunnel, round === 0 ? 'SIGTERM' : 'SIGINT')
    tunnel = await start(subdomain)
  }
  await both.again(20)
  await both.stop()
  const delivered = [...posts].filter(([path]) => path.startsWith('/steady/'))
  console.info(
    `agent killed and started again 3 times: 0 failed of ${gets.count} GETs, ${slowAfterKills} of them over 100 ms; stopped and started again ` +
      `twice: 0 failed of ${both.count} GETs and POSTs, ${slow.length} of them over 100 ms, ${delivered.length} POSTs delivered once each; ` +
      `the longest took ${Math.round(Math.max(...slow))} ms`,
  )
  expect([...gets.outcomes.keys()]).toEqual(['200'])
  expect([...both.outcomes.keys()]).toEqual(['200'])
  expect(slowAfterKills).toBeGreaterThan(0)
  expect(delivered.every(([, times]) => times === 1)).toBe(true)
  for (const client of clients) client.close()
  await end(tunnel, 'SIGTERM')
})

test('exactly HELD_PER_NAME requests are held for a name; one that leaves makes room for one; the agent lets all of them through', async () => {
  const { host } = await away('crowd')
  const beyond = 6
  const clients = await Promise.all(Array.from({ length: HELD_PER_NAME + beyond }, () => visit(system)))
  for (const client of clients) client.send(get(host))
  const refused = (): HttpClient[] => clients.filter(({ connection }) => connection.length > 0)
  await eventually(`${beyond} are refused`, () => refused().length >= beyond)
  // One more is refused only while all places are taken.
  expect(fieldOf(await ask(system, get(host)), 'tunnel-error')).toBe('tunnel-offline')
  expect(refused()).toHaveLength(beyond)
  for (const client of refused()) {
    const answer = await client.next()
    expect([statusOf(answer), fieldOf(answer, 'retry-after')]).toEqual([503, '2'])
  }

  const held = clients.filter((client) => !refused().includes(client))
  held.pop()!.close()
  let another: HttpClient | undefined
  await eventually('the place is free', async () => {
    another?.close()
    another = await visit(system)
    const { connection } = another
    const before = await heldSoFar(system)
    another.send(get(host))
    await eventually('it is held or refused', async () => connection.length > 0 || (await heldSoFar(system)) > before)
    return connection.length === 0
  })
  expect(fieldOf(await ask(system, get(host)), 'tunnel-error')).toBe('tunnel-offline')

  const back = await start('crowd')
  const answers = await Promise.all([...held, another!].map((client) => client.next()))
  expect(answers.map(statusOf)).toEqual(answers.map(() => 200))
  expect(answers).toHaveLength(HELD_PER_NAME)
  for (const client of clients) client.close()
  await end(back, 'SIGTERM')
})

test('exactly HELD_PER_TASK requests are held on a task', async () => {
  const names = Math.ceil(HELD_PER_TASK / HELD_PER_NAME)
  const token = (await system.token('many')).reveal()
  const target = (origin.address() as AddressInfo).port
  const open = () =>
    Promise.all(
      Array.from({ length: names }, (_, index) =>
        connect({ server: system.server, token, target, subdomain: `many-${index}`, holdMs: 30_000 }),
      ),
    )
  const tunnels = await open()
  await Promise.all(tunnels.map((tunnel) => tunnel.close({ drainMs: 0 })))
  const clients = await Promise.all(
    tunnels.flatMap(({ url }) =>
      Array.from({ length: HELD_PER_NAME }, async () => {
        const client = await visit(system)
        client.send(get(new URL(url).host))
        return client
      }),
    ),
  )
  const beyond = clients.length - HELD_PER_TASK
  const refused = (): HttpClient[] => clients.filter(({ connection }) => connection.length > 0)
  await eventually(`${beyond} are refused`, () => refused().length >= beyond)
  expect(fieldOf(await ask(system, get(new URL(tunnels[0]!.url).host)), 'tunnel-error')).toBe('tunnel-offline')
  const none = refused()
  expect(none).toHaveLength(beyond)

  const again = await open()
  const answers = await Promise.all(clients.filter((client) => !none.includes(client)).map((client) => client.next()))
  expect(answers.map(statusOf)).toEqual(Array.from({ length: HELD_PER_TASK }, () => 200))
  for (const client of clients) client.close()
  await Promise.all(again.map((tunnel) => tunnel.close()))
})

test('a slow upload of 10 MB that begins while the agent is away arrives whole, and none of it before', async () => {
  const { host } = await away('upload')
  const body = randomBytes(10 * 1024 * 1024)
  const client = await visit(system)
  client.send(`POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`)
  let uploaded = 0
  const upload = (async () => {
    for (; uploaded < body.length; uploaded += 256 * 1024) {
      const more = client.connection.socket.write(body.subarray(uploaded, uploaded + 256 * 1024))
      await (more ? delay(5) : new Promise<void>((resolve) => client.connection.socket.once('drain', resolve)))
    }
  })()
  // Until it stands still: the systems' buffers are full, and nobody reads.
  let before = -1
  await eventually('the upload stands still', async () => {
    const stood = uploaded === before
    before = uploaded
    await delay(100)
    return stood
  })
  expect(uploaded).toBeLessThan(body.length)
  expect(posts.get('/upload')).toBeUndefined()
  const back = await start('upload')
  await upload
  const answer = await client.next('POST')
  expect(answer.body.toString()).toBe(createHash('sha256').update(body).digest('hex'))
  expect(posts.get('/upload')).toBe(1)
  client.close()
  await end(back, 'SIGTERM')
})

test('Expect: 100-continue and an upgrade to WebSocket wait as well, and then get through', async () => {
  const { host } = await away('upgrade')
  const before = await heldSoFar(system)
  const expecting = await visit(system)
  expecting.send(`POST /expect HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`)
  const socket = await visit(system)
  socket.send(`GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
  await eventually('both are held', async () => (await heldSoFar(system)) === before + 2)
  expect([expecting.connection.length, socket.connection.length]).toEqual([0, 0])
  const back = await start('upgrade')
  expect(statusOf(await expecting.next('POST'))).toBe(100)
  expecting.send('body')
  expect(statusOf(await expecting.next('POST'))).toBe(200)
  expect(statusOf(await socket.next())).toBe(101)
  socket.send('to and fro')
  await socket.connection.saw('to and fro')
  for (const client of [expecting, socket]) client.close()
  await end(back, 'SIGKILL')
})

test.each([
  ['0', 0, 0],
  ['400ms', 400, 2],
])('with --hold %s a request is answered 503 after %i ms', async (hold, least, held) => {
  const { host } = await away(`hold-${hold}`, { args: ['--hold', hold] })
  const client = await visit(system)
  const before = await heldSoFar(system)
  for (let time = 0; time < 2; time += 1) {
    const began = performance.now()
    const answer = await client.ask(get(host))
    const ms = performance.now() - began
    expect([statusOf(answer), fieldOf(answer, 'tunnel-error')]).toEqual([503, 'tunnel-offline'])
    expect(fieldOf(answer, 'retry-after')).toBe('2')
    expect(ms).toBeGreaterThanOrEqual(least)
    expect(ms).toBeLessThan(HOLD_MS)
  }
  expect(await heldSoFar(system)).toBe(before + held)
  client.close()
})

test('an agent that was stopped for good costs its visitors one hold in all', async () => {
  const tunnel = await start('stopped', { args: ['--hold', '3s'] })
  const before = await heldSoFar(system)
  await end(tunnel, 'SIGINT')
  const first = await ask(system, get(tunnel.host))
  const second = await ask(system, get(tunnel.host))
  expect([first, second].map(statusOf)).toEqual([503, 503])
  expect(await heldSoFar(system)).toBe(before + 1)
})

test('SIGTERM to the data plane ends the waiting: 503, Retry-After, Connection: close; and the process is soon gone', async () => {
  const { host } = await away('drained', { args: ['--hold', '60s'] })
  const clients = await Promise.all(Array.from({ length: 20 }, () => visit(system)))
  const before = await heldSoFar(system)
  for (const client of clients) client.send(get(host))
  await eventually('all of them are held', async () => (await heldSoFar(system)) === before + clients.length)
  expect(clients.every(({ connection }) => connection.length === 0)).toBe(true)
  system.dataPlane.kill('SIGTERM')
  for (const client of clients) {
    await client.connection.over()
    expect(client.connection.text).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nRetry-After: 2\r\nConnection: close\r\n/)
    expect(client.connection.text).toMatch(OFFLINE)
    client.close()
  }
  // A drain that went to its end would take longer than this test may.
  expect(await system.dataPlane.exited).toEqual({ code: 0, signal: null })
})
