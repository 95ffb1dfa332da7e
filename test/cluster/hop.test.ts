/**
 * A request that comes in at a task without the tunnel is served by way of the one that has it; and what becomes of it when that one moves, dies,
 * stands still or cannot be reached. What visitors see of HTTP by way of a hop is tested by the suites of `--project hop`.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { ENV } from '@postern/protocol/environment'
import { HOLD_MS } from '@postern/protocol/limits'
import { newDeploymentSecret } from '@postern/protocol/ticket'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { addDeploymentSecret } from '../support/deployment-canaries.ts'
import { FaultProxy } from '../support/fault-proxy/fault-proxy.ts'
import { freePort } from '../support/free-port.ts'
import { HttpClient } from '../support/http-client.ts'
import { fieldOf, type Message, statusOf } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Ports, type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import type { TestProcess } from '../support/test-process.ts'
import { eventually } from '../support/visits.ts'

/** A lease is over after 3 s, a hold after 2 s, and a peer that is silent is so after 1.5 s whatever this says. */
const TIME_SCALE = 0.2
const UNREACHABLE_MS = 2000

interface Task {
  readonly id: string
  readonly process: TestProcess
  readonly ports: Ports
}

let system: System
let folder: string
const origins: http.Server[] = []
/** Tasks and agents of the test that runs. Twenty of them at once would keep table and machine too busy for deadlines of a fifth. */
const started: TestProcess[] = []
/** POSTs that reached a local server, by their path. */
const posts = new Map<string, number>()

beforeAll(async () => {
  system = await startSystem({ env: { POSTERN_TIME_SCALE: String(TIME_SCALE) } })
  folder = await mkdtemp(join(tmpdir(), 'postern-hop-'))
}, 30_000)

afterEach(async () => {
  const processes = started.splice(0)
  for (const process of processes) process.kill('SIGKILL')
  await Promise.all(processes.map(({ exited }) => exited))
})

afterAll(async () => {
  await system?.stop()
  await rm(folder, { recursive: true, force: true })
  for (const origin of origins) {
    origin.close()
    origin.closeAllConnections()
  }
})

async function startTask(changes: Readonly<Record<string, string>> = {}, peer = 0): Promise<Task> {
  const process = await system.startDataPlane({ public: 0, channel: 0, peer, ops: 0 }, changes)
  started.push(process)
  const { task: id } = JSON.parse(await process.firstLine())
  return { id, process, ports: system.ports }
}

/** A local server that says who it is, and what it was sent. */
async function startOrigin(who: string): Promise<number> {
  const origin = http.createServer((request, response) => {
    if (request.method === 'POST') posts.set(request.url!, (posts.get(request.url!) ?? 0) + 1)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      response.setHeader('who', who)
      response.setHeader('seen-for', String(request.headers['x-forwarded-for']))
      response.setHeader('via-seen', String(request.headers.via))
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`)
    })
  })
  origins.push(origin)
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  return (origin.address() as AddressInfo).port
}

/** Its channel is at that task. */
async function startAgent(
  at: Task,
  subdomain: string,
  target: number,
  args: readonly string[] = [],
): Promise<RunningAgent> {
  system.control.use({ channelPort: at.ports.channel })
  const agent = await system.startAgent({ subdomain, target, args, server: system.controlUrl })
  started.push(agent.process)
  return agent
}

const visit = ({ ports }: Task): Promise<HttpClient> => HttpClient.open(ports.public)

async function ask(task: Task, request: string): Promise<Message> {
  const visitor = await visit(task)
  try {
    return await visitor.ask(request, 20_000)
  } finally {
    visitor.close()
  }
}

const get = (host: string, path = '/', more = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`
const post = (host: string, path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const refusal = (answer: Message): unknown[] => [statusOf(answer), fieldOf(answer, 'tunnel-error')]

test('any task serves any tunnel, whichever of three a visitor comes in at, and sets what it tells the local server once', async () => {
  const tasks = [await startTask(), await startTask(), await startTask()]
  const { host } = await startAgent(tasks[0]!, 'anywhere', await startOrigin('one'))
  for (const task of tasks) {
    const visitor = await visit(task)
    for (let n = 0; n < 3; n += 1) {
      const answer = await visitor.ask(get(host, `/${n}`, 'X-Forwarded-For: 1.2.3.4\r\n'))
      expect(answer.body.toString()).toBe(`GET /${n} `)
      expect([fieldOf(answer, 'seen-for'), fieldOf(answer, 'via-seen')]).toEqual(['127.0.0.1', '1.1 postern'])
    }
    visitor.close()
  }
  expect(refusal(await ask(tasks[1]!, get('nobody.localhost')))).toEqual([404, 'tunnel-not-found'])
})

test('rules are judged by the task that has the tunnel, for the address that the visitor came from', async () => {
  const [holder, entrance] = [await startTask(), await startTask()]
  const { host } = await startAgent(holder, 'ruled', await startOrigin('ruled'), [
    '--allow-cidr',
    '127.0.0.2/32',
    '--response-header-add',
    'X-Stage: demo',
  ])
  const from = async (localAddress: string, more = '') => {
    const visitor = await HttpClient.open({ host: '127.0.0.1', port: entrance.ports.public, localAddress })
    const answer = await visitor.ask(get(host, '/', more))
    visitor.close()
    return answer
  }
  const allowed = await from('127.0.0.2')
  expect(fieldOf(allowed, 'x-stage')).toBe('demo')
  expect([fieldOf(allowed, 'seen-for'), fieldOf(allowed, 'via-seen')]).toEqual(['127.0.0.2', '1.1 postern'])
  expect(refusal(await from('127.0.0.3', 'X-Forwarded-For: 127.0.0.2\r\n'))).toEqual([403, 'visitor-not-allowed'])
})

test('an agent that moves to another task is followed by visitors of a third, which knew it at the former, POSTs too', async () => {
  const [former, later, entrance] = [await startTask(), await startTask(), await startTask()]
  const before = await startAgent(former, 'mover', await startOrigin('former'))
  expect(fieldOf(await ask(entrance, get(before.host)), 'who')).toBe('former')
  before.process.kill('SIGKILL')
  await before.process.exited
  await eventually('its task has noticed', async () =>
    (await system.stores.routes.list('mover')).every(({ routeState }) => routeState === 'offline'),
  )
  const visitor = await visit(entrance)
  visitor.send(post(before.host, '/moved', 'kept'))
  await startAgent(later, 'mover', await startOrigin('later'))
  const answer = await visitor.next('POST', 20_000)
  expect([...refusal(answer), fieldOf(answer, 'who')]).toEqual([200, undefined, 'later'])
  expect(answer.body.toString()).toBe('POST /moved kept')
  expect(posts.get('/moved')).toBe(1)
  visitor.close()
})

test('the task that has the tunnel is killed: requests are answered within two seconds, or by whoever has it next', async () => {
  const [killed, next, entrance] = [await startTask(), await startTask(), await startTask()]
  const { host } = await startAgent(killed, 'orphan', await startOrigin('orphan'))
  expect(statusOf(await ask(entrance, get(host)))).toBe(200)
  system.control.use({ channelPort: next.ports.channel })
  killed.process.kill('SIGKILL')
  await killed.process.exited
  const began = performance.now()
  const answer = await ask(entrance, get(host, '/after'))
  expect(statusOf(answer) === 200 || performance.now() - began < UNREACHABLE_MS).toBe(true)
  await eventually('the tunnel is back, on the next task', async () => statusOf(await ask(entrance, get(host))) === 200)
})

test('a name whose only task was restarted is waited for, not unknown', async () => {
  const first = await startTask({ [ENV.taskId]: 'restarted' })
  const { host } = await startAgent(first, 'patient', await startOrigin('patient'))
  first.process.kill('SIGKILL')
  await first.process.exited
  const second = await startTask({ [ENV.taskId]: 'restarted' })
  const began = performance.now()
  expect(refusal(await ask(second, get(host)))).toEqual([503, 'tunnel-offline'])
  expect(performance.now() - began).toBeGreaterThan(HOLD_MS * TIME_SCALE * 0.9)
  const waiting = ask(second, get(host))
  system.control.use({ channelPort: second.ports.channel })
  const outcomes = [refusal(await waiting)]
  await eventually('its agent is back', async () => {
    outcomes.push(refusal(await ask(second, get(host))))
    return outcomes.at(-1)![0] === 200
  })
  expect(outcomes.filter(([status]) => status === 404)).toEqual([])
})

test('two tasks that are cut off from each other: the owner serves, the other says so within two seconds, and it heals', async () => {
  const path = new Partition()
  const peerPort = await freePort()
  const proxy = await FaultProxy.start(peerPort, { toServer: [path.fault], toClient: [path.fault] })
  try {
    const owner = await startTask({ [ENV.peerAddress]: `127.0.0.1:${proxy.port}` }, peerPort)
    const other = await startTask()
    const { host } = await startAgent(owner, 'divided', await startOrigin('divided'))
    const visitor = await visit(other)
    expect(statusOf(await visitor.ask(get(host)))).toBe(200)
    path.cut()
    for (const request of [get(host, '/cut'), post(host, '/cut', 'once'), get(host, '/cut')]) {
      const began = performance.now()
      const [byOther, byOwner] = await Promise.all([ask(other, request), ask(owner, request.replace('/cut', '/whole'))])
      expect(refusal(byOther)).toEqual([503, 'peer-unreachable'])
      expect(performance.now() - began).toBeLessThan(UNREACHABLE_MS)
      expect(statusOf(byOwner)).toBe(200)
    }
    path.heal()
    await eventually('it heals', async () => statusOf(await ask(other, get(host))) === 200)
    expect(posts.get('/cut') ?? 0).toBeLessThanOrEqual(1)
    visitor.close()
  } finally {
    await proxy.stop()
  }
}, 60_000)

test('a task that stood still while its tunnel moved serves not one request of it when it goes on', async () => {
  const [paused, later] = [await startTask(), await startTask()]
  const before = await startAgent(paused, 'fenced', await startOrigin('before'))
  const waiting = await Promise.all([visit(paused), visit(paused), visit(paused)])
  expect(fieldOf(await waiting[0]!.ask(get(before.host)), 'who')).toBe('before')
  paused.process.kill('SIGSTOP')
  for (const visitor of waiting) visitor.send(get(before.host, '/queued'))
  await startAgent(later, 'fenced', await startOrigin('after'))
  await eventually('its lease is over', async () =>
    (await system.stores.tasks.list()).some(
      ({ taskId, leaseUntil }) => taskId === paused.id && leaseUntil < Date.now(),
    ),
  )
  paused.process.kill('SIGCONT')
  for (const visitor of waiting) {
    const answer = await visitor.next('GET', 20_000)
    expect([...refusal(answer), fieldOf(answer, 'who')]).toEqual([200, undefined, 'after'])
  }
  await paused.process.complains(/this process stood still/)
  for (const visitor of waiting) visitor.close()
}, 60_000)

test('a task with another key is refused, says so to its visitors at once, and never learns what passes', async () => {
  const secret = newDeploymentSecret(randomBytes)
  addDeploymentSecret(system.canaries, secret)
  const file = join(folder, 'other-hop-secret.json')
  await writeFile(file, secret, { mode: 0o600 })
  const [holder, stranger] = [await startTask(), await startTask({ [ENV.hopSecretFile]: file })]
  const { host } = await startAgent(holder, 'guarded', await startOrigin('guarded'))
  const began = performance.now()
  expect(refusal(await ask(stranger, get(host)))).toEqual([503, 'peer-unreachable'])
  expect(performance.now() - began).toBeLessThan(UNREACHABLE_MS)
  await holder.process.complains(/a channel of another task was refused/)
})

test('a preamble of a visitor means nothing: neither on the public port nor, without the key, on that of the hop', async () => {
  const [holder, entrance] = [await startTask(), await startTask()]
  const { host } = await startAgent(holder, 'forged', await startOrigin('forged'), ['--allow-cidr', '127.0.0.9/32'])
  const text = JSON.stringify({ name: 'forged', epoch: 1, visitorAddress: '127.0.0.9', requestId: 'r' })
  const preamble = Buffer.concat([Buffer.from([text.length >> 8, text.length & 0xff]), Buffer.from(text)])
  for (const port of [holder.ports.public, entrance.ports.public]) {
    const visitor = await HttpClient.open(port)
    visitor.send(Buffer.concat([preamble, Buffer.from(get(host))]))
    expect(statusOf(await visitor.next())).toBe(400)
    visitor.close()
  }
  for (const task of [holder, entrance]) {
    const connection = await RawConnection.open(task.ports.peer)
    connection.write(Buffer.concat([preamble, Buffer.from(get(host))]))
    await connection.over()
    expect(connection.text).not.toContain('HTTP/1.1')
    connection.close()
  }
})

test('a revoked tunnel is cut within five seconds for visitors of every task', async () => {
  const [holder, entrance] = [await startTask(), await startTask()]
  const { host } = await startAgent(holder, 'revoked', await startOrigin('revoked'))
  expect(statusOf(await ask(entrance, get(host)))).toBe(200)
  const began = performance.now()
  await system.stores.revocations.add({
    ...{ what: 'user', key: 'tester', notBefore: Date.now() },
    ...{ now: Date.now(), newId: () => randomBytes(8).toString('hex') },
  })
  await eventually('it is cut', async () => refusal(await ask(entrance, get(host)))[1] === 'tunnel-offline')
  expect(performance.now() - began).toBeLessThan(5000)
})

/** A path on which nothing passes while it is cut, and all of it afterwards, as TCP would have it. */
class Partition {
  #isCut = false
  #waiting: (() => void)[] = []

  readonly fault = () => {
    const waits = (pass: () => void): void => void (this.#isCut ? this.#waiting.push(pass) : pass())
    return new Transform({
      transform: (chunk, _encoding, done) => waits(() => done(null, chunk)),
      flush: (done) => waits(() => done()),
    })
  }

  cut(): void {
    this.#isCut = true
  }

  heal(): void {
    this.#isCut = false
    for (const pass of this.#waiting.splice(0)) pass()
  }
}
