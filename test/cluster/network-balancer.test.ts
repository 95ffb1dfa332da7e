/** The network load balancer of these tests does to tasks and clients what AWS's does. */
import { once } from 'node:events'
import http from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import tls from 'node:tls'
import { parseProxyHeader, readProxyHeader } from '@postern/protocol/channel'
import { afterEach, expect, test } from 'vitest'
import { NetworkBalancer, type NetworkBalancerOptions } from '../support/network-balancer/network-balancer.ts'
import type { TargetState } from '../support/network-balancer/target.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { selfSigned } from '../support/self-signed.ts'

/** A health check is 100 ms instead of 10 s. */
const TIME_SCALE = 0.01

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

interface StubTask {
  readonly ports: { readonly public: number; readonly channel: number; readonly ops: number }
  /** The source that each connection's header told. */
  readonly sources: string[]
  readonly checks: { readonly header: string }[]
  readonly sockets: Set<Socket>
  ready: boolean
  close(): Promise<void>
}

/** Answers each connection with its name, and echoes what comes then. */
async function stubTask(name: string): Promise<StubTask> {
  const task = { sources: [] as string[], checks: [] as { header: string }[], sockets: new Set<Socket>(), ready: true }
  const listener = createServer({ allowHalfOpen: true }, async (socket) => {
    task.sockets.add(socket)
    socket.on('error', () => undefined)
    const { source, rest } = await readProxyHeader(socket, 'required')
    task.sources.push(source.address)
    socket.write(`${name}\n`)
    socket.write(rest)
    socket.pipe(socket)
  })
  const health = http.createServer((_, response) => response.writeHead(task.ready ? 200 : 503).end())
  const ops = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (bytes: Buffer) => {
      const header = parseProxyHeader(bytes)
      if (header.kind !== 'header') throw new Error('a health check without a header')
      task.checks.push({ header: header.source?.address ?? 'of the balancer itself' })
      socket.pause()
      socket.unshift(bytes.subarray(header.bytes))
      health.emit('connection', socket)
      socket.resume()
    })
  })
  const listen = async (server: Server): Promise<number> => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const port = await listen(listener)
  const close = async (): Promise<void> => {
    for (const socket of task.sockets) socket.destroy()
    listener.close()
    ops.close()
  }
  undo.push(close)
  return Object.assign(task, { ports: { public: port, channel: port, ops: await listen(ops) }, close })
}

async function start(options: Partial<NetworkBalancerOptions> = {}): Promise<NetworkBalancer> {
  const balancer = await NetworkBalancer.start({ timeScale: TIME_SCALE, random: Math.random, ...options })
  undo.push(() => balancer.stop())
  return balancer
}

/** Whom a new connection leads to; `cut` if to nobody. */
async function greeting(balancer: NetworkBalancer): Promise<string> {
  const client = await RawConnection.open({ port: balancer.ports.public, host: '127.0.0.1' })
  try {
    await client.until('a greeting, or none', () => client.text.includes('\n') || client.ending !== 'open' || undefined)
    return client.text.trim() || client.ending
  } finally {
    client.close()
  }
}

async function greetings(balancer: NetworkBalancer, count: number): Promise<Set<string>> {
  return new Set(await Promise.all(Array.from({ length: count }, () => greeting(balancer))))
}

/** Records the states of targets, and waits for one. */
function states(): {
  changed: (id: string, state: TargetState) => void
  reached(id: string, state: TargetState): Promise<void>
} {
  const seen = new Map<string, TargetState>()
  let wake = (): void => undefined
  return {
    changed(id, state) {
      seen.set(id, state)
      wake()
    },
    async reached(id, state) {
      while (seen.get(id) !== state)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    },
  }
}

test('new flows lead to every healthy target, each behind a header that tells the client', async () => {
  const balancer = await start()
  const tasks = await Promise.all(['a', 'b', 'c'].map(stubTask))
  const registrations = tasks.map((task, index) => balancer.register(`t${index}`, task.ports))
  await Promise.all(registrations.map(({ settled }) => settled))
  expect(await greetings(balancer, 60)).toEqual(new Set(['a', 'b', 'c']))
  for (const task of tasks) {
    expect(new Set(task.sources)).toEqual(new Set(['127.0.0.1']))
    expect(task.checks[0]).toEqual({ header: 'of the balancer itself' })
  }
})

test('a target gets nothing before its first passed check, and nothing while it fails; if all fail, all get flows again', async () => {
  const { changed, reached } = states()
  const balancer = await start({ changed })
  const [a, b] = await Promise.all([stubTask('a'), stubTask('b')])
  b.ready = false
  await balancer.register('a', a.ports).settled
  balancer.register('b', b.ports)
  await reached('b', 'unhealthy')
  expect(await greetings(balancer, 30)).toEqual(new Set(['a']))
  a.ready = false
  await reached('a', 'unhealthy')
  expect(await greetings(balancer, 60)).toEqual(new Set(['a', 'b']))
  b.ready = true
  await reached('b', 'healthy')
  expect(await greetings(balancer, 30)).toEqual(new Set(['b']))
})

test('a deregistered target keeps what stands, and gets new flows for a while', async () => {
  const { changed, reached } = states()
  const balancer = await start({ changed })
  const [a, b] = await Promise.all([stubTask('a'), stubTask('b')])
  const registration = balancer.register('a', a.ports)
  await registration.settled
  const standing = await RawConnection.open({ port: balancer.ports.public, host: '127.0.0.1' })
  await standing.saw('a\n')
  await balancer.register('b', b.ports).settled
  registration.deregister(50_000)
  expect(registration.state).toBe('draining')
  expect(await greetings(balancer, 40)).toEqual(new Set(['a', 'b']))
  await reached('a', 'unused')
  expect(await greetings(balancer, 40)).toEqual(new Set(['b']))
  standing.write('still here')
  await standing.saw('still here')
  standing.close()
})

test('a flow to a target that is gone is reset, or meets silence; a target that dies resets what stands', async () => {
  const balancer = await start()
  const silent = await start({ gone: 'silence' })
  const task = await stubTask('a')
  await Promise.all([balancer, silent].map((one) => one.register('a', task.ports).settled))
  const standing = await RawConnection.open({ port: balancer.ports.public, host: '127.0.0.1' })
  await standing.saw('a\n')
  await task.close()
  for (const socket of task.sockets) socket.resetAndDestroy()
  await standing.over()
  expect(standing.ending).not.toBe('open')
  expect(await greeting(balancer)).toBe('cut')
  const began = performance.now()
  expect(await greeting(silent)).toBe('cut')
  expect(performance.now() - began).toBeGreaterThan(700)
})

test('an end passes as an end, and what comes behind it still arrives', async () => {
  const balancer = await start()
  const task = await stubTask('a')
  await balancer.register('a', task.ports).settled
  const client = connect({ port: balancer.ports.public, host: '127.0.0.1', allowHalfOpen: true })
  let heard = ''
  client.setEncoding('utf8').on('data', (text) => {
    heard += text
  })
  client.end('my last words')
  await once(client, 'end')
  expect(heard).toBe('a\nmy last words')
})

test('cutting a listener resets its flows alone, and says how many', async () => {
  const balancer = await start()
  const task = await stubTask('a')
  await balancer.register('a', task.ports).settled
  const visitor = await RawConnection.open({ port: balancer.ports.public, host: '127.0.0.1' })
  const agents = await Promise.all(
    Array.from({ length: 3 }, () => RawConnection.open({ port: balancer.ports.channel, host: '127.0.0.1' })),
  )
  for (const one of [visitor, ...agents]) await one.saw('a\n')
  expect(balancer.cut('channel')).toBe(3)
  for (const agent of agents) await agent.over()
  visitor.write('still here')
  await visitor.saw('still here')
  expect(balancer.entryOf(visitor.socket.localPort!)).toBe('a')
  visitor.close()
})

const certificate = selfSigned('tunnels.test')
test.skipIf(!certificate)(
  'visitors may speak TLS; the target hears what is inside, behind the header (needs openssl)',
  async () => {
    const balancer = await start({ tls: { ...certificate!, protocols: ['h2', 'http/1.1'] } })
    const task = await stubTask('a')
    await balancer.register('a', task.ports).settled
    const client = tls.connect({
      port: balancer.ports.public,
      host: '127.0.0.1',
      servername: 'demo.tunnels.test',
      ca: certificate!.cert,
      ALPNProtocols: ['http/1.1'],
    })
    await once(client, 'secureConnect')
    expect(client.alpnProtocol).toBe('http/1.1')
    const [name] = await once(client.setEncoding('utf8'), 'data')
    expect(name).toBe('a\n')
    expect(task.sources).toEqual(['127.0.0.1'])
    client.destroy()
  },
)
