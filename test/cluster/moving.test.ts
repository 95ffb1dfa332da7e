/** Agents that move: tasks that are replaced, names that are taken, shared and kept, over several tasks on one table. */
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { ENV } from '@postern/protocol/environment'
import { DRAIN_MS } from '@postern/protocol/limits'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type Listener, startListener } from '../stack/balancer.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { tryOpening } from '../support/cut-short-agent.ts'
import { askOnce, HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import { type Ports, type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { SteadyWork } from '../support/steady-work.ts'
import type { TestProcess } from '../support/test-process.ts'
import { eventually, newTicket } from '../support/visits.ts'

/** A drain of 22 s, 20 s of it for requests; a lease of 3 s. Agents have two seconds to open a channel, which half of that is not enough for on a busy machine. */
const TIME_SCALE = 0.2
/** Visitors of a name whose agent is not where they came are told at once, and go where it is: what a hop between tasks would do. */
const NO_HOLD = ['--hold', '0']

interface Task {
  readonly id: string
  readonly process: TestProcess
  readonly ports: Ports
}

let system: System
let balancer: Balancer
let tasks: Task[]
let origins: http.Server[]
/** Every POST that reached a local server, by its path. */
let posts: Map<string, number>

beforeEach(async () => {
  origins = []
  posts = new Map()
  tasks = []
  system = await startSystem({ env: { POSTERN_TIME_SCALE: String(TIME_SCALE) } })
  tasks.push({ id: await taskId(system.dataPlane), process: system.dataPlane, ports: system.ports })
  balancer = await startBalancer(system.ports.channel)
  system.control.use({ channelPort: balancer.port })
})

afterEach(async () => {
  await system?.stop()
  await balancer?.stop()
  for (const origin of origins) {
    origin.close()
    origin.closeAllConnections()
  }
})

const taskId = async (process: TestProcess): Promise<string> => JSON.parse(await process.firstLine()).task

async function addTask(changes: Record<string, string> = {}): Promise<Task> {
  const process = await system.startDataPlane(undefined, changes)
  const task = { id: await taskId(process), process, ports: system.ports }
  tasks.push(task)
  return task
}

const lead = (...to: readonly Task[]): void => balancer.lead(...to.map(({ ports }) => ports.channel))

/** A local server that says its name, and counts POSTs. */
async function startOrigin(name: string, answerAfterMs = 5): Promise<{ port: number; server: http.Server }> {
  const server = http.createServer((request, response) => {
    if (request.method === 'POST') posts.set(request.url!, (posts.get(request.url!) ?? 0) + 1)
    request.resume()
    request.on('end', () => setTimeout(() => response.end(name), answerAfterMs))
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  origins.push(server)
  return { port: (server.address() as AddressInfo).port, server }
}

const startAgent = (subdomain: string, target: number, ...args: string[]): Promise<RunningAgent> =>
  system.startAgent({ subdomain, target, args: [...NO_HOLD, ...args], server: system.controlUrl })

const online = async (name: string) =>
  (await system.stores.routes.list(name, { consistent: true })).filter((route) => route.routeState === 'online')

/** The tasks that have the name, as the table says. */
const holders = async (name: string): Promise<(Task | undefined)[]> =>
  (await online(name)).map((route) => tasks.find((task) => task.id === route.taskId))

const get = (host: string, path = '/', method = 'GET'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`

/** One request at a task that has the name. One that has it no more says so, and is asked nothing further: the request goes where it is now. */
async function askName(name: string, request: string): Promise<string> {
  for (let misses = 0; misses < 20; misses += 1) {
    const places = await holders(name)
    const task = places[misses % places.length]
    if (task === undefined) continue
    const answer = await askOnce({ host: '127.0.0.1', port: task.ports.public }, request)
    const fault = fieldOf(answer, 'tunnel-error')
    if (fault === 'tunnel-offline' || fault === 'tunnel-not-found') continue
    return statusOf(answer) === 200
      ? contentOf(answer).toString()
      : `${request.split(' ')[0]} ${statusOf(answer)} ${fault}`
  }
  return 'nowhere'
}

/** Requests for a name, one after the other from several visitors: every third a POST with a path of its own. */
function visitSteadily(name: string, host: string, width = 4): SteadyWork {
  let count = 0
  return new SteadyWork(width, async () => {
    count += 1
    const path = `/${count}-${randomBytes(3).toString('hex')}`
    try {
      return await askName(name, get(host, path, count % 3 === 0 ? 'POST' : 'GET'))
    } catch (error) {
      return String(error)
    }
  })
}

const drained = (task: Task): Promise<string> => task.process.complains(/"msg":"stopping"/)

describe('tasks that are replaced one after the other', () => {
  test('lose no request, and agents and visitors hear nothing of it', async () => {
    const [a] = tasks as [Task]
    const b = await addTask()
    lead(a, b)
    const origin = await startOrigin('served')
    const tunnel = await startAgent('rolling', origin.port, '--connections', '2')
    await eventually('two channels', async () => (await online('rolling')).length === 2)
    expect(new Set((await holders('rolling')).map((task) => task?.id))).toEqual(new Set([a.id, b.id]))
    const work = visitSteadily('rolling', tunnel.host)
    for (const old of [a, b]) {
      const fresh = await addTask()
      // The balancer sends to the old one for a while yet.
      lead(...tasks.filter((task) => task.process.running))
      const began = performance.now()
      old.process.kill('SIGTERM')
      await drained(old)
      await work.again(5)
      expect(await old.process.exited).toEqual({ code: 0, signal: null })
      expect(performance.now() - began).toBeLessThan(DRAIN_MS * TIME_SCALE)
      lead(...tasks.filter((task) => task.process.running))
      expect((await holders('rolling')).every((task) => task !== undefined && task !== old)).toBe(true)
      expect(fresh.process.running).toBe(true)
    }
    await work.again(5)
    await work.stop()
    expect([...work.outcomes.keys()]).toEqual(['served'])
    expect(new Set(posts.values())).toEqual(new Set([1]))
    expect(tunnel.process.stderr).not.toMatch(/reconnecting|back:/)
    expect(a.process.stderr).toMatch(/"msg":"tunnel moved"/)
    expect(await online('rolling')).toHaveLength(2)
  })

  test('finish a request that began before; one that outlives the drain is ended, a WebSocket by 1012 between two frames, whichever task its visitor came to', async () => {
    const [a] = tasks as [Task]
    const origin = await startOrigin('x')
    const piece = Buffer.alloc(40_000, 'p')
    const sockets = new WebSocketServer({ server: origin.server, perMessageDeflate: false })
    const messages: string[] = []
    sockets.on('connection', (socket, request) => {
      socket.on('message', (message) => messages.push(`${request.url} ${message}`))
      socket.on('close', (code) => messages.push(`${request.url} closed ${code}`))
      const timer = setInterval(() => socket.send(piece), 15)
      socket.on('close', () => clearInterval(timer))
    })
    origin.server.removeAllListeners('request')
    origin.server.on('request', (request, response) => {
      if (request.url === '/slow') return void setTimeout(() => response.end('whole'), 3000)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const timer = setInterval(() => response.write('data: x\n\n'), 50)
      response.on('close', () => clearInterval(timer))
    })
    const tunnel = await startAgent('ending', origin.port)
    // Of a tunnel with rules the task that has it reads what comes by the hop, of one without it passes bytes.
    const ruled = await startAgent('ruled-ending', origin.port, '--response-header-add', 'X-Stage: demo')
    const entrance = await addTask()
    const at = { host: '127.0.0.1', port: a.ports.public }
    const slow = await HttpClient.open(at)
    slow.send(`GET /slow HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    const events = await HttpClient.open(at)
    events.send(`GET /events HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    await events.connection.saw('data: x')
    let whole = true
    const open = async (path: string, { ports }: Task, { host }: RunningAgent) => {
      const socket = new WebSocket(`ws://127.0.0.1:${ports.public}${path}`, { headers: { host } })
      socket.on('message', (data: Buffer) => {
        whole &&= data.equals(piece)
      })
      const closed = new Promise<number>((resolve, reject) => socket.on('close', resolve).on('error', reject))
      await new Promise((resolve) => socket.once('message', resolve))
      return { path, socket, closed }
    }
    const opened = [
      await open('/ws', a, tunnel),
      await open('/hop', entrance, tunnel),
      await open('/ruled-hop', entrance, ruled),
    ]
    const b = await addTask()
    lead(a, b)
    a.process.kill('SIGTERM')
    await eventually('the agent has moved', async () => (await holders('ending'))[0] === b)
    // The former channel carries on what it had.
    const answer = await slow.next()
    expect(contentOf(answer).toString()).toBe('whole')
    expect(fieldOf(answer, 'connection')).not.toBe('close')
    for (const { path, socket } of opened) {
      socket.send('still there')
      await eventually('bytes go both ways', () => messages.includes(`${path} still there`))
    }
    expect(await Promise.all(opened.map(({ closed }) => closed))).toEqual([1012, 1012, 1012])
    expect(whole).toBe(true)
    // The visitor's own Close reaches the local server, so that it ends in order too.
    for (const { path } of opened)
      await eventually('the local server hears of it', () => messages.some((said) => said.startsWith(`${path} closed`)))
    expect(messages).toEqual(expect.arrayContaining(opened.map(({ path }) => `${path} closed 1012`)))
    expect(await events.connection.over()).toBe('cut')
    expect(await a.process.exited).toEqual({ code: 0, signal: null })
    expect(await askName('ending', get(tunnel.host, '/slow'))).toBe('whole')
    expect(tunnel.process.stderr).not.toMatch(/reconnecting|back:/)
  })
})

describe('a task behind a balancer', () => {
  let listeners: Listener[]
  beforeEach(async () => {
    listeners = [await startListener(), await startListener()]
  })
  afterEach(async () => {
    for (const listener of listeners) await listener.stop()
  })

  test('that is told to stop serves whoever still comes, each for one request, until its time is over', async () => {
    const [a] = tasks as [Task]
    const [channels, visitors] = listeners as [Listener, Listener]
    const b = await addTask({ [ENV.proxyProtocol]: 'required' })
    channels.forwardTo(b.ports.channel)
    visitors.forwardTo(b.ports.public)
    system.control.use({ channelPort: channels.port })
    const origin = await startOrigin('balanced')
    const tunnel = await startAgent('balanced', origin.port)
    const ticket = await newTicketAt(a, 'other')
    const kept = await HttpClient.open(visitors.port)
    const keepAlive = `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`
    expect(statusOf(await kept.ask(keepAlive))).toBe(200)

    const began = performance.now()
    b.process.kill('SIGTERM')
    await drained(b)
    const ops = (path: string) => askOnce(b.ports.ops, `GET ${path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n`)
    expect([statusOf(await ops('/readyz')), statusOf(await ops('/healthz'))]).toEqual([503, 200])
    expect(await tryOpening(ticket)).toBe('server-draining')
    // The agent knows no other way: task a is not behind its balancer.
    const answers = [await kept.ask(keepAlive)]
    const late = DRAIN_MS * TIME_SCALE * 0.8
    do {
      answers.push(await askOnce({ host: '127.0.0.1', port: visitors.port }, keepAlive))
      await delay(100)
    } while (performance.now() - began < late)
    expect(new Set(answers.map(statusOf))).toEqual(new Set([200]))
    expect(new Set(answers.map((answer) => fieldOf(answer, 'connection')))).toEqual(new Set(['close']))

    // Where new channels lead to another task at last, the agent goes there before this one ends.
    const c = await addTask({ [ENV.proxyProtocol]: 'required' })
    channels.forwardTo(c.ports.channel)
    expect(await b.process.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - began).toBeLessThan(DRAIN_MS * TIME_SCALE)
    await eventually('the agent is there', async () => (await holders('balanced'))[0] === c)
  })

  test('is right as well if the balancer has stopped sending long before', async () => {
    const [channels, visitors] = listeners as [Listener, Listener]
    const b = await addTask({ [ENV.proxyProtocol]: 'required' })
    channels.forwardTo(b.ports.channel)
    visitors.forwardTo(b.ports.public)
    system.control.use({ channelPort: channels.port })
    const origin = await startOrigin('first')
    const tunnel = await startAgent('deregistered', origin.port)
    const kept = await HttpClient.open(visitors.port)
    const keepAlive = `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`
    await kept.ask(keepAlive)
    // Deregistered: what is open stays open, and new flows go elsewhere.
    const c = await addTask({ [ENV.proxyProtocol]: 'required' })
    channels.forwardTo(c.ports.channel)
    visitors.forwardTo(c.ports.public)
    expect(statusOf(await kept.ask(keepAlive))).toBe(200)
    b.process.kill('SIGTERM')
    await eventually('the agent is elsewhere', async () => (await holders('deregistered'))[0] === c)
    expect(statusOf(await askOnce({ host: '127.0.0.1', port: visitors.port }, keepAlive))).toBe(200)
    expect(await b.process.exited).toEqual({ code: 0, signal: null })
    expect(tunnel.process.stderr).not.toMatch(/reconnecting|back:/)
  })
})

/** A ticket, asked for at a task before which nobody stands. */
async function newTicketAt(task: Task, subdomain: string): Promise<ChannelTicket> {
  system.ports = task.ports
  return newTicket(system, subdomain)
}

describe('two terminals with one name', () => {
  test('on two tasks: the newest has it, the other ends with exit code 4 and says who has taken it; nobody fights', async () => {
    const [a] = tasks as [Task]
    const b = await addTask()
    const [older, newer] = [await startOrigin('older'), await startOrigin('newer')]
    lead(a)
    const first = await startAgent('contested', older.port, '--connections', '2')
    await eventually('two channels', async () => (await online('contested')).length === 2)
    lead(b)
    const second = await startAgent('contested', newer.port)
    const began = performance.now()
    expect(await first.process.exited).toEqual({ code: 4, signal: null })
    expect(performance.now() - began).toBeLessThan(5000)
    expect(first.process.stderr).toMatch(
      new RegExp(`Another agent.*\\(pid ${second.process.pid}\\).*\\(superseded\\)`, 's'),
    )
    expect(await askName('contested', get(second.host))).toBe('newer')
    expect(await online('contested')).toHaveLength(1)
    expect(second.process.stderr).not.toMatch(/reconnecting|superseded/)
  })

  test('one that slept while the other took the name does not take it back', async () => {
    const [a] = tasks as [Task]
    const [older, newer] = [await startOrigin('older'), await startOrigin('newer')]
    lead(a)
    const first = await startAgent('asleep', older.port)
    first.process.kill('SIGSTOP')
    // Silent for longer than a channel may be.
    await eventually('its channel is given up', async () => (await online('asleep')).length === 0)
    const second = await startAgent('asleep', newer.port)
    first.process.kill('SIGCONT')
    expect(await first.process.exited).toEqual({ code: 4, signal: null })
    expect(first.process.stderr).toContain(`(pid ${second.process.pid})`)
    expect(await askName('asleep', get(second.host))).toBe('newer')
    expect(second.process.running).toBe(true)
  })
})

describe('agents that pool', () => {
  test('share the name over two tasks; one that is killed loses what was in flight there, and nothing else', async () => {
    const [a] = tasks as [Task]
    const b = await addTask()
    lead(a, b)
    const [left, right] = [await startOrigin('left', 20), await startOrigin('right', 20)]
    const first = await startAgent('pooled', left.port, '--pool', '--connections', '2')
    await eventually('two channels', async () => (await online('pooled')).length === 2)
    const second = await startAgent('pooled', right.port, '--pool', '--connections', '2')
    await eventually('four channels', async () => (await online('pooled')).length === 4)
    const width = 8
    const work = visitSteadily('pooled', first.host, width)
    await work.again(6)
    second.process.kill('SIGKILL')
    await second.process.exited
    await work.again(6)
    await work.stop()
    const { left: atLeft = 0, right: atRight = 0, ...others } = Object.fromEntries(work.outcomes)
    expect(Math.min(atLeft, atRight)).toBeGreaterThan(width)
    // At most one for each visitor: what was on its way when the process died, and must not be sent twice. Every GET went to another channel.
    expect(Object.keys(others).filter((outcome) => !/^POST 502 channel-(lost|closed)/.test(outcome))).toEqual([])
    expect(Object.values(others).reduce((sum: number, count) => sum + (count ?? 0), 0)).toBeLessThanOrEqual(width)
    expect(Math.max(...posts.values())).toBe(1)
    expect(first.process.running).toBe(true)
    await eventually('the killed one is gone from the table', async () => (await online('pooled')).length === 2)
  })

  test('on different tasks share also what comes in at one of them', async () => {
    const [a] = tasks as [Task]
    const b = await addTask()
    const [near, far] = [await startOrigin('near', 50), await startOrigin('far', 50)]
    lead(a)
    const { host } = await startAgent('spread', near.port, '--pool')
    lead(b)
    await startAgent('spread', far.port, '--pool')
    await eventually('a channel on each', async () => new Set(await holders('spread')).size === 2)
    const work = new SteadyWork(8, async () => {
      const answer = await askOnce({ host: '127.0.0.1', port: a.ports.public }, get(host))
      return statusOf(answer) === 200 ? contentOf(answer).toString() : (fieldOf(answer, 'tunnel-error') ?? 'nothing')
    })
    await work.again(20)
    await work.stop()
    const { near: atNear = 0, far: atFar = 0, ...others } = Object.fromEntries(work.outcomes)
    expect(others).toEqual({})
    expect(Math.min(atNear, atFar) / (atNear + atFar)).toBeGreaterThan(0.25)
  })

  test('a ninth channel is told that the pool is full, with exit code 4, and takes nobody’s place', async () => {
    const origin = await startOrigin('full')
    const first = await startAgent('crowded', origin.port, '--pool', '--connections', '8')
    await eventually('eight channels', async () => (await online('crowded')).length === 8)
    const late = await system.launchAgent({
      ...{ subdomain: 'crowded', target: origin.port, server: system.controlUrl },
      args: ['--pool'],
    })
    expect(await late.exited).toEqual({ code: 4, signal: null })
    expect(late.stderr).toContain('(pool-full)')
    expect(await online('crowded')).toHaveLength(8)
    expect(first.process.running).toBe(true)
  })

  test('one that does not pool takes the name from all that do', async () => {
    const [a] = tasks as [Task]
    const b = await addTask()
    lead(a, b)
    const [pooled, alone] = [await startOrigin('pooled'), await startOrigin('alone')]
    const agents = [
      await startAgent('taken-over', pooled.port, '--pool'),
      await startAgent('taken-over', pooled.port, '--pool'),
    ]
    const last = await startAgent('taken-over', alone.port)
    for (const { process } of agents) expect(await process.exited).toEqual({ code: 4, signal: null })
    expect(await askName('taken-over', get(last.host))).toBe('alone')
    expect(await online('taken-over')).toHaveLength(1)
  })

  test('a revocation cuts every channel of the name on every task', async () => {
    const [a] = tasks as [Task]
    const b = await addTask()
    lead(a, b)
    const origin = await startOrigin('revoked')
    const agents = [
      await startAgent('revoked', origin.port, '--pool', '--connections', '2'),
      await startAgent('revoked', origin.port, '--pool', '--connections', '2'),
    ]
    await eventually('four channels', async () => (await online('revoked')).length === 4)
    const now = Date.now()
    await system.stores.revocations.add({
      ...{ what: 'user', key: 'tester', notBefore: now, now },
      newId: () => randomBytes(8).toString('hex'),
    })
    const exits = await Promise.all(agents.map(({ process }) => process.exited))
    expect(Date.now() - now).toBeLessThan(5000)
    expect(exits.map(({ code }) => code)).toEqual([3, 3])
    await eventually('no channel is left', async () => (await online('revoked')).length === 0)
  })
})
