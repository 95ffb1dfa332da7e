/** Tasks that are told to stop, one after the other or behind a balancer: agents have moved before, visitors notice nothing. */
import { setTimeout as delay } from 'node:timers/promises'
import { ENV } from '@postern/protocol/environment'
import { DRAIN_MS } from '@postern/protocol/limits'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type Listener, startListener } from '../stack/balancer.ts'
import { tryOpening } from '../support/cut-short-agent.ts'
import { askOnce, HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import type { RunningAgent } from '../support/start-system.ts'
import { eventually, newTicket } from '../support/visits.ts'
import { ChangingTasks, request, type Task, TIME_SCALE } from './changing-tasks.ts'

let changing: ChangingTasks

beforeEach(async () => {
  changing = await ChangingTasks.start()
})

afterEach(() => changing.stop())

const drained = (task: Task): Promise<string> => task.process.complains(/"msg":"stopping"/)

describe('tasks that are replaced one after the other', () => {
  test('lose no request, and agents and visitors hear nothing of it', async () => {
    const a = changing.first
    const b = await changing.add()
    changing.lead(a, b)
    const origin = await changing.startOrigin('served')
    const tunnel = await changing.startAgent('rolling', origin.port, '--connections', '2')
    await eventually('two channels', async () => (await changing.online('rolling')).length === 2)
    expect(new Set((await changing.holders('rolling')).map((task) => task?.id))).toEqual(new Set([a.id, b.id]))
    const work = changing.visitSteadily('rolling', tunnel.host)
    for (const old of [a, b]) {
      const fresh = await changing.add()
      // The balancer sends to the old one for a while yet.
      changing.leadToRunning()
      const began = performance.now()
      old.process.kill('SIGTERM')
      await drained(old)
      await work.again(5)
      expect(await old.process.exited).toEqual({ code: 0, signal: null })
      expect(performance.now() - began).toBeLessThan(DRAIN_MS * TIME_SCALE)
      changing.leadToRunning()
      expect((await changing.holders('rolling')).every((task) => task !== undefined && task !== old)).toBe(true)
      expect(fresh.process.running).toBe(true)
    }
    await work.again(5)
    await work.stop()
    expect([...work.outcomes.keys()]).toEqual(['served'])
    expect(new Set(changing.posts.values())).toEqual(new Set([1]))
    expect(tunnel.process.stderr).not.toMatch(/reconnecting|back:/)
    expect(a.process.stderr).toMatch(/"msg":"tunnel moved"/)
    expect(await changing.online('rolling')).toHaveLength(2)
  })

  test('finish a request that began before; one that outlives the drain is ended, a WebSocket by 1012 between two frames, whichever task its visitor came to', async () => {
    const a = changing.first
    const origin = await changing.startOrigin('x')
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
    const tunnel = await changing.startAgent('ending', origin.port)
    // Of a tunnel with rules the task that has it reads what comes by the hop, of one without it passes bytes.
    const ruled = await changing.startAgent('ruled-ending', origin.port, '--response-header-add', 'X-Stage: demo')
    const entrance = await changing.add()
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
    const b = await changing.add()
    changing.lead(a, b)
    a.process.kill('SIGTERM')
    await eventually('the agent has moved', async () => (await changing.holders('ending'))[0] === b)
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
    expect(await changing.ask('ending', request(tunnel.host, '/slow'))).toBe('whole')
    expect(tunnel.process.stderr).not.toMatch(/reconnecting|back:/)
  })
})

describe('a task behind a balancer', () => {
  let channels: Listener
  let visitors: Listener
  beforeEach(async () => {
    channels = await startListener()
    visitors = await startListener()
  })
  afterEach(async () => {
    await channels.stop()
    await visitors.stop()
  })

  /** Another task, to which new channels and new visitors of the balancer come from now on. */
  async function addBehindBalancer(): Promise<Task> {
    const task = await changing.add({ [ENV.proxyProtocol]: 'required' })
    channels.forwardTo(task.ports.channel)
    visitors.forwardTo(task.ports.public)
    changing.system.control.use({ channelPort: channels.port })
    return task
  }

  test('that is told to stop serves whoever still comes, each for one request, until its time is over', async () => {
    const a = changing.first
    const b = await addBehindBalancer()
    const origin = await changing.startOrigin('balanced')
    const tunnel = await changing.startAgent('balanced', origin.port)
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
    const c = await changing.add({ [ENV.proxyProtocol]: 'required' })
    channels.forwardTo(c.ports.channel)
    expect(await b.process.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - began).toBeLessThan(DRAIN_MS * TIME_SCALE)
    await eventually('the agent is there', async () => (await changing.holders('balanced'))[0] === c)
  })

  test('is right as well if the balancer has stopped sending long before', async () => {
    const b = await addBehindBalancer()
    const origin = await changing.startOrigin('first')
    const tunnel = await changing.startAgent('deregistered', origin.port)
    const kept = await HttpClient.open(visitors.port)
    const keepAlive = `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`
    await kept.ask(keepAlive)
    // Deregistered: what is open stays open, and new flows go elsewhere.
    const c = await addBehindBalancer()
    expect(statusOf(await kept.ask(keepAlive))).toBe(200)
    b.process.kill('SIGTERM')
    await eventually('the agent is elsewhere', async () => (await changing.holders('deregistered'))[0] === c)
    expect(statusOf(await askOnce({ host: '127.0.0.1', port: visitors.port }, keepAlive))).toBe(200)
    expect(await b.process.exited).toEqual({ code: 0, signal: null })
    expect(tunnel.process.stderr).not.toMatch(/reconnecting|back:/)
  })
})

/** A ticket, asked for at a task before which nobody stands. */
async function newTicketAt(task: Task, subdomain: string): Promise<ChannelTicket> {
  changing.system.ports = task.ports
  return newTicket(changing.system, subdomain)
}
