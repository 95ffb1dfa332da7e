/** A crowd of visitors leaves, or asks a local server that is down. Whoever has something under way by the same channels loses nothing. */
import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type Server } from 'node:http'
import { connect as connectH2, constants } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import { afterEach, expect, test } from 'vitest'
import type { LiveChannel } from '../../agent/src/live-channel.ts'
import { size } from '../support/full-size.ts'
import { dialAgent } from './dial-agent.ts'
import { tell } from './experiment.ts'
import { BASE, type MemoryTask, startMemoryTask, startMemoryTasks } from './memory-task.ts'
import { PatientAgent } from './patient-agent.ts'

const WITHDRAWN = { perSecond: size(1500, 5000), seconds: size(3, 20) }
const UNANSWERED = { perSecond: size(500, 1000), seconds: size(3, 20) }
/** As many names as it takes, of a channel's streams each but a few. */
const CROWD = { names: size(12, 18), visitors: STREAMS_PER_CHANNEL - 6, staying: size(100, 500) }
/** Long enough for the request to reach the local server. */
const WITHDRAWN_AFTER_MS = 25
/** A browser holds so many requests open on one connection, and the next page begins a new one. */
const H2_REQUESTS = { atOnce: 80, perConnection: 400 }
const TICK_MS = 20

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startTask(): Promise<MemoryTask> {
  const task = await startMemoryTask()
  cleanups.push(() => task.stop(0))
  return task
}

/** A local server: /flow counts until it is told to end, /wait answers nobody, everything else is answered at once. */
async function startOrigin(): Promise<{ readonly server: Server; readonly port: number; endFlows(): void }> {
  let ending = false
  const server = createServer((request, response) => {
    if (request.url === '/wait') return
    if (request.url !== '/flow') return void response.end('answered')
    let count = 0
    const timer = setInterval(() => {
      response.write(`${count++}\n`)
      if (ending) response.end('end')
    }, TICK_MS)
    response.on('close', () => clearInterval(timer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const endFlows = (): void => {
    ending = true
  }
  return { server, port: (server.address() as AddressInfo).port, endFlows }
}

async function startTunnel(task: MemoryTask, name: string, originPort: number): Promise<LiveChannel> {
  const channel = await dialAgent(await task.desk.issue(name, task.plane.ports.channel, name), originPort)
  cleanups.push(() => channel.leave(0))
  return channel
}

interface Visit {
  readonly status: number
  readonly fault: string | undefined
  readonly body: Promise<string>
}

function visit(task: MemoryTask, name: string, path: string, agent?: Agent): Promise<Visit> {
  const options = { host: '127.0.0.1', port: task.plane.ports.public, path, headers: { host: `${name}.${BASE}` } }
  return new Promise((resolve, reject) => {
    get({ ...options, ...(agent && { agent }) }, (response: IncomingMessage) => {
      const body = (async () => {
        let text = ''
        for await (const chunk of response) text += String(chunk)
        return text
      })()
      // It may be cut long before anybody looks at it.
      body.catch(() => {})
      resolve({ status: response.statusCode!, fault: response.headers['tunnel-error'] as string | undefined, body })
    }).on('error', reject)
  })
}

/** A visitor with a response under way, and one of another tenant who asks again and again. */
async function startBystanders(task: MemoryTask, name: string, endFlows: () => void) {
  const [flow, other] = [await visit(task, name, '/flow'), await startOrigin()]
  const otherChannel = await startTunnel(task, 'other', other.port)
  const agent = new Agent({ keepAlive: true })
  let asking = true
  const answers: Record<string, number> = {}
  const asked = (async () => {
    while (asking) {
      const outcome = await visit(task, 'other', '/', agent).then(
        async ({ status, body }) => `${status} ${await body}`,
        (error: Error) => error.message,
      )
      answers[outcome] = (answers[outcome] ?? 0) + 1
      await setTimeout(TICK_MS)
    }
  })()
  return {
    /** What became of them: to be called when the crowd has gone. */
    async outcome() {
      asking = false
      await asked
      agent.destroy()
      endFlows()
      const lines = (await flow.body.catch((error: Error) => error.message)).split('\n')
      const inOrder = lines.slice(0, -1).every((line, index) => line === String(index))
      return {
        flow: `${inOrder ? 'in order' : 'broken'}, ${lines.at(-1)}`,
        answers: Object.keys(answers),
        otherChannel,
      }
    },
  }
}

/** Calls `act` so many times a second, as far as this machine can: what it misses in a tick is made up for in the next ones, not at once. */
async function atRate({ perSecond, seconds }: typeof WITHDRAWN, act: () => void): Promise<number> {
  const began = performance.now()
  for (let made = 0; made < perSecond * seconds; await setTimeout(TICK_MS)) {
    const due = Math.min(perSecond * seconds, ((performance.now() - began) * perSecond) / 1000)
    for (const most = made + (2 * TICK_MS * perSecond) / 1000; made < Math.min(due, most); made++) act()
    // On a busy machine the next tick is due by now: without this turn timers would follow on timers, and nothing would be read.
    await setImmediate()
  }
  return (perSecond * seconds * 1000) / (performance.now() - began)
}

const WITHDRAW: Readonly<Record<string, (port: number, host: string) => () => void>> = {
  'HTTP/1.1': (port, host) => () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => {
      // The task may be quicker to refuse it.
    })
    socket.resume().write(`GET /wait HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    void setTimeout(WITHDRAWN_AFTER_MS).then(() => socket.resetAndDestroy())
  },
  'HTTP/2': (port, host) => {
    const connection = () => {
      const session = connectH2(`http://127.0.0.1:${port}`)
      session.on('error', () => {})
      return { session, made: 0, open: 0 }
    }
    let current = connection()
    return () => {
      if (current.made === H2_REQUESTS.perConnection || current.open === H2_REQUESTS.atOnce) {
        const { session } = current
        void setTimeout(4 * WITHDRAWN_AFTER_MS).then(() => session.destroy())
        current = connection()
      }
      const mine = current
      mine.made++
      mine.open++
      const request = mine.session.request({ ':path': '/wait', ':authority': host, ':scheme': 'http' })
      request.on('error', () => {})
      void setTimeout(WITHDRAWN_AFTER_MS).then(() => {
        mine.open--
        request.close(constants.NGHTTP2_CANCEL)
      })
    }
  },
}

test.each(Object.entries(WITHDRAW))(
  'bystanders lose nothing while thousands of requests a second are withdrawn by %s',
  async (version, withdrawing) => {
    const began = performance.now()
    const task = await startTask()
    const origin = await startOrigin()
    const channel = await startTunnel(task, 'crowded', origin.port)
    const bystanders = await startBystanders(task, 'crowded', origin.endFlows)
    let parted: string | undefined
    void channel.parted.then(({ code, detail }) => {
      parted = `${code}: ${detail}`
    })
    let withdrawn = 0
    const withdraw = withdrawing(task.plane.ports.public, `crowded.${BASE}`)
    const rate = await atRate(WITHDRAWN, () => {
      withdraw()
      withdrawn++
    })
    await setTimeout(4 * WITHDRAWN_AFTER_MS)
    const { flow, answers } = await bystanders.outcome()
    tell(17, `${withdrawn} requests withdrawn by ${version}, ${rate.toFixed(0)} a second; the flow ${flow}`, began)
    expect({ parted, flow, answers }).toEqual({ parted: undefined, flow: 'in order, end', answers: ['200 answered'] })
  },
  600_000,
)

test('bystanders lose nothing while a local server is down, and each of a thousand visitors a second is told so', async () => {
  const began = performance.now()
  const task = await startTask()
  const origin = await startOrigin()
  const channel = await startTunnel(task, 'crowded', origin.port)
  const bystanders = await startBystanders(task, 'crowded', origin.endFlows)
  // What was accepted goes on; nothing further is.
  origin.server.close()
  let parted: string | undefined
  void channel.parted.then(({ code, detail }) => {
    parted = `${code}: ${detail}`
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 100 })
  const asked: Promise<string>[] = []
  const rate = await atRate(UNANSWERED, () => {
    const outcome = visit(task, 'crowded', '/', agent).then(
      async ({ status, fault, body }) => {
        await body
        return `${status} ${fault}`
      },
      (error: Error) => error.message,
    )
    asked.push(outcome)
  })
  const answered = new Set(await Promise.all(asked))
  agent.destroy()
  const { flow, answers } = await bystanders.outcome()
  tell(
    17,
    `${asked.length} requests for a local server that is down, ${rate.toFixed(0)} a second; the flow ${flow}`,
    began,
  )
  expect([...answered]).toEqual(['502 origin-refused'])
  expect({ parted, flow, answers }).toEqual({ parted: undefined, flow: 'in order, end', answers: ['200 answered'] })
}, 600_000)

test('visitors of other tunnels lose nothing when thousands leave at once whose requests are on another task', async () => {
  const began = performance.now()
  const [holder, entry] = (await startMemoryTasks(2)) as [MemoryTask, MemoryTask]
  cleanups.push(() => Promise.all([holder.stop(0), entry.stop(0)]))
  const agents: PatientAgent[] = []
  for (let index = 0; index < CROWD.names; index++) {
    const name = `name-${index}`
    agents.push(await PatientAgent.open(await holder.desk.issue(name, holder.plane.ports.channel, name)))
    cleanups.push(() => agents[index]!.leave())
  }
  const waiting = (): number => agents.reduce((sum, agent) => sum + agent.waiting.size, 0)
  const visitors: { readonly socket: Socket; text: string; over: boolean }[] = []
  for (let index = 0; index < CROWD.names; index++) {
    for (let count = 0; count < CROWD.visitors; count++) {
      const socket = connect({ port: entry.plane.ports.public, host: '127.0.0.1' })
      const visitor = { socket, text: '', over: false }
      socket.on('data', (chunk: Buffer) => {
        visitor.text += String(chunk)
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        visitor.over = true
      })
      // Not one that the task could send again without anybody noticing.
      socket.write(`POST / HTTP/1.1\r\nHost: name-${index}.${BASE}\r\nContent-Length: 0\r\n\r\n`)
      visitors.push(visitor)
    }
    await expect.poll(waiting, { timeout: 60_000 }).toBe(visitors.length)
  }
  const staying = visitors.filter((_, index) => index % Math.floor(visitors.length / CROWD.staying) === 0)
  const leaving = new Set(visitors)
  for (const visitor of staying) leaving.delete(visitor)
  for (const { socket } of leaving) socket.resetAndDestroy()
  await expect.poll(waiting, { timeout: 60_000 }).toBeLessThanOrEqual(staying.length)
  for (const agent of agents) agent.answer(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nanswered'))
  const served = (): number => staying.filter(({ text }) => text.endsWith('answered')).length
  await expect.poll(served, { timeout: 60_000 }).toBe(staying.length)
  tell(
    17,
    `${leaving.size} of ${visitors.length} visitors left by a hop at once; ${served()} who stayed were served`,
    began,
  )
  expect(agents.map(({ lost }) => lost)).toEqual(agents.map(() => undefined))
  expect(staying.filter(({ over }) => over)).toEqual([])
  for (const { socket } of staying) socket.destroy()
}, 600_000)
