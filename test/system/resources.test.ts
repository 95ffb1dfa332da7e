/** Nothing stays behind: the check at the end of every system finds what is left on purpose here. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { descriptorsOf, HAS_PROC } from '../support/resources/process-descriptors.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type SystemOptions, startSystem } from '../support/start-system.ts'
import { TestProcess } from '../support/test-process.ts'
import { eventually } from '../support/visits.ts'

/** What a leak gets to go away: nothing here does, so nothing is waited for. */
const NO_PATIENCE: SystemOptions = { backAtBaseMs: 500 }
/** Of one visitor in each way. */
const ROUNDS = size(15, 100)
const moduleUrl = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A process that is no part of any system, so that no system ends it. */
function runAside(args: readonly string[], env: Readonly<Record<string, string>> = {}): TestProcess {
  const aside = new TestProcess({ name: 'aside', args, env: { ...process.env, ...env } })
  undo.push(() => aside.stop())
  return aside
}

/** What `stop` complained about, one resource a line. */
const complaints = (stop: Promise<void>): Promise<string> =>
  stop.then(
    () => 'nothing',
    (error: Error) => error.message,
  )

describe('a system whose stop is told what is left', () => {
  test('names a visitor that is still there, its stream and its socket', async () => {
    const origin = await ScriptedOrigin.start()
    undo.push(() => origin.stop())
    const asked = new Promise<void>((resolve) =>
      origin.play(async ({ whole }) => {
        await whole()
        resolve()
      }),
    )
    const system = await startSystem({ ...NO_PATIENCE, env: { POSTERN_TIME_SCALE: '0.2' } })
    const tunnel = await system.startAgent({ subdomain: 'stays', target: origin.port })
    const request = JSON.stringify(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    runAside(['-e', `require('net').connect(${system.ports.public}, '127.0.0.1').write(${request})`])
    await asked
    const left = await complaints(system.stop())
    expect(left).toMatch(/^resources that were not given back:\n/)
    expect(left).toContain('process 1 (data plane): postern_active_streams 1\n')
    expect(left).toContain('process 1 (data plane): postern_visitor_connections 1\n')
    expect(left).toContain('1 sockets accepted on the public port, at most 0 may stay')
    expect(left).not.toMatch(/channel port|tunnels/)
  })

  test('names a channel that is still open, and its socket', async () => {
    const system = await startSystem(NO_PATIENCE)
    const token = (await system.token('tester')).reveal()
    const agent = new URL('../../agent/dist/main.js', import.meta.url).pathname
    const args = ['http', '3000', '--server', system.controlUrl, '--subdomain', 'stays']
    await runAside([agent, ...args], { TUNNEL_AGENT_TOKEN: token }).firstLine()
    const left = await complaints(system.stop())
    expect(left).toContain('postern_tunnels 1\n')
    expect(left).toContain('1 sockets accepted on the channel port, at most 0 may stay')
    expect(left).not.toMatch(/visitor|streams|public port/)
  })

  test('names timers, sockets and files that the task itself has kept', async () => {
    const elsewhere = await listening()
    const { port } = elsewhere.address() as AddressInfo
    const leak = `
      import { openSync } from 'node:fs'
      import { connect } from 'node:net'
      process.on('SIGUSR2', () => {
        for (let i = 0; i < 3; i += 1) setInterval(() => {}, 1e6)
        openSync('/dev/null')
        connect(${port}, '127.0.0.1')
      })`
    const system = await startSystem({ ...NO_PATIENCE, withoutDataPlane: true })
    const task = await system.startDataPlane(undefined, { NODE_OPTIONS: `--import ${moduleUrl(leak)}` })
    const leaked = once(elsewhere, 'connection')
    task.kill('SIGUSR2')
    await leaked
    const left = await complaints(system.stop())
    expect(left).toMatch(/\d+ timers, of which \d+ at first/)
    if (process.platform !== 'linux') return
    expect(left).toContain('1 sockets to somewhere else, at most 0 may stay')
    expect(left).toMatch(/(\d+) descriptors beside its sockets, of which (\d+) at first/)
  })
})

describe('visitors that leave in every way', () => {
  const WHOLE = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole'
  const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'
  const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
  const ask = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`
  const UPGRADE = 'Connection: Upgrade\r\nUpgrade: echo\r\n'
  let host = ''

  /** What a visitor asks, what it waits for, and how it leaves then. */
  const WAYS: readonly { ask(): string; saw: string; leave(visitor: RawConnection): unknown }[] = [
    { ask: () => ask('/whole'), saw: 'whole', leave: (visitor) => visitor.close() },
    { ask: () => ask('/half'), saw: 'half', leave: (visitor) => visitor.close() },
    { ask: () => ask('/half'), saw: 'half', leave: (visitor) => visitor.reset() },
    { ask: () => ask('/half'), saw: 'half', leave: (visitor) => visitor.end() },
    { ask: () => ask('/upgrade', UPGRADE), saw: '101', leave: (visitor) => visitor.reset() },
    { ask: () => ask('/upgrade', UPGRADE), saw: '101', leave: (visitor) => visitor.end('last words') },
    {
      ask: () => ask('/upgrade', UPGRADE),
      saw: '101',
      leave: (visitor) => {
        visitor.socket.once('finish', () => visitor.reset())
        visitor.end('last words')
      },
    },
    {
      ask: () => ask('/upload', 'Content-Length: 100\r\n').replace('GET', 'POST'),
      saw: '',
      leave: (visitor) => visitor.reset(),
    },
  ]

  test.skipIf(!HAS_PROC)('leave no connection of the agent to its local server', async () => {
    const origin = await ScriptedOrigin.start(async ({ connection, head }) => {
      if (head.startLine.includes('/whole')) return connection.write(WHOLE)
      if (head.startLine.includes('/half')) connection.write(HALF)
      if (head.startLine.includes('/upgrade')) connection.write(SWITCHED)
      await connection.over(Number.POSITIVE_INFINITY)
      connection.end()
    })
    undo.push(() => origin.stop())
    // An idle stream is kept for 0.8 s then.
    const system = await startSystem({ env: { POSTERN_TIME_SCALE: '0.2' } })
    undo.push(() => system.stop())
    const agent = await system.startAgent({ subdomain: 'left', target: origin.port, server: system.controlUrl })
    host = agent.host
    const toLocalServer = (): number =>
      descriptorsOf(agent.process.pid).sockets.filter(({ remotePort }) => remotePort === origin.port).length
    let most = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(
        WAYS.map(async ({ ask, saw, leave }) => {
          const visitor = await RawConnection.open(system.ports.public)
          visitor.write(ask())
          await visitor.saw(saw)
          most = Math.max(most, toLocalServer())
          leave(visitor)
        }),
      )
    }
    expect(most).toBeGreaterThan(1)
    await eventually('the agent has no connection to its local server', () => toLocalServer() === 0)
  })
})

async function listening(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  undo.push(() => server.close())
  return server
}
