import { AGENT_DRAIN_MS, CLOSE_GRACE_MS } from '@postern/protocol/limits'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tryOpening } from '../support/cut-short-agent.ts'
import { size } from '../support/full-size.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, askOps, eventually, newTicket, visit } from '../support/visits.ts'

/** Promised of an agent that has nothing more to do. Beside other tests of a slow machine what is left of it is that it waits for no time limit of its own. */
const GONE_WITHIN_MS = size(AGENT_DRAIN_MS, 1000, 1000)

let system: System
let origin: ScriptedOrigin

beforeEach(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
})

afterEach(async () => {
  await system?.stop()
  await origin?.stop()
})

const get = (host: string, path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const respond = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`

/** Lets requests wait in the middle of their answer until the test says go; those for /probe are answered at once. */
function playHeld(text: string): () => void {
  let release: () => void = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  origin.play(async ({ connection, head, whole }) => {
    await whole()
    if (head.startLine.includes('/probe')) return connection.write(respond('probe'))
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text.slice(0, 1)}`)
    await released
    connection.write(text.slice(1))
  })
  return release
}

const playEcho = (): void =>
  origin.play(async ({ connection, head, whole }) => {
    await whole()
    connection.write(respond(head.startLine.split(' ')[1]!))
  })

describe('SIGTERM to the data plane', () => {
  test('lets requests in flight end while nobody new is let in, then the agents, then health; and exits 0', async () => {
    const tunnel = await system.startAgent({ subdomain: 'drain', target: origin.port })
    const ticket = await newTicket(system, 'drain')
    const release = playHeld('whole')
    const visitor = await visit(system)
    visitor.send(get(tunnel.host))
    await visitor.connection.saw('w')
    const idle = await visit(system)
    playEcho()
    expect(statusOf(await idle.ask(get(tunnel.host, '/idle')))).toBe(200)

    system.dataPlane.kill('SIGTERM')
    // An idle visitor is let go at once, and by then all of the following holds.
    expect(await idle.connection.over()).toBe('ended')
    expect(statusOf(await askOps(system, '/readyz'))).toBe(503)
    expect(statusOf(await askOps(system, '/healthz'))).toBe(200)
    await expect(RawConnection.open(system.publicPort)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(await tryOpening(ticket)).toBe('server-draining')
    expect(visitor.connection.ending).toBe('open')

    release()
    const answer = await visitor.next()
    expect(answer.body.toString()).toBe('whole')
    expect(await visitor.connection.over()).toBe('ended')
    expect(await system.dataPlane.exited).toEqual({ code: 0, signal: null })
    await expect(askOps(system, '/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('the agent comes back by itself once it is started again on the same ports, at the same URL', async () => {
    const tunnel = await system.startAgent({ subdomain: 'again', target: origin.port })
    playEcho()
    expect((await ask(system, get(tunnel.host, '/before'))).body.toString()).toBe('/before')
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const spoken = tunnel.process.stderr.length
      const { ports, dataPlane } = system
      dataPlane.kill(signal)
      await dataPlane.exited
      await system.startDataPlane(ports)
      await tunnel.process.complains(/back: (\S+)/, spoken)
      expect((await ask(system, get(tunnel.host, '/after'))).body.toString(), signal).toBe('/after')
    }
    expect(tunnel.process.stdout).toBe(`${tunnel.url}\n`)
    // The task that was killed looks alive for a lease: the one that is left would wait for this agent to move there.
    tunnel.process.kill('SIGTERM')
    await tunnel.process.exited
  })
})

describe('a data plane whose log nobody reads any more', () => {
  test('goes on serving, and ends when it is told to', async () => {
    playEcho()
    const tunnel = await system.startAgent({ subdomain: 'deaf', target: origin.port })
    system.dataPlane.deafen()
    expect(statusOf(await ask(system, get(tunnel.host, '/still')))).toBe(200)
    system.dataPlane.kill('SIGTERM')
    expect(await system.dataPlane.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a signal to the agent', () => {
  test('SIGTERM or SIGINT: what is in flight ends, however long it takes, and then it exits 0', async () => {
    const release = playHeld('whole')
    const leaving = await Promise.all(
      (['SIGTERM', 'SIGINT'] as const).map(async (signal) => {
        const subdomain = `leave-${signal.toLowerCase()}`
        const tunnel = await system.startAgent({ subdomain, target: origin.port, args: ['--hold', '0'] })
        const visitors = await Promise.all(Array.from({ length: 20 }, () => visit(system)))
        for (const visitor of visitors) visitor.send(get(tunnel.host))
        await Promise.all(visitors.map((visitor) => visitor.connection.saw('w')))
        tunnel.process.kill(signal)
        return { tunnel, visitors }
      }),
    )
    for (const { tunnel } of leaving) {
      // Its name is withdrawn while they still run.
      await eventually('the name is gone', async () => {
        const answer = await ask(system, get(tunnel.host, '/probe'))
        return fieldOf(answer, 'tunnel-error') !== undefined
      })
    }
    // Longer than a channel that is closed in earnest takes to be over.
    await new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS + 200))
    release()
    for (const { tunnel, visitors } of leaving) {
      for (const visitor of visitors) expect((await visitor.next()).body.toString()).toBe('whole')
      const last = performance.now()
      expect(await tunnel.process.exited).toEqual({ code: 0, signal: null })
      expect(performance.now() - last).toBeLessThan(GONE_WITHIN_MS)
    }
  })

  test('with nothing in flight it is gone at once, kept connections notwithstanding', async () => {
    // Ten times as long as usual: nothing that it waits for by the clock is over before it is gone.
    const env = { POSTERN_TIME_SCALE: '10' }
    const tunnel = await system.startAgent({ subdomain: 'leave', target: origin.port, env })
    playEcho()
    const visitor = await visit(system)
    await visitor.ask(get(tunnel.host))
    const told = performance.now()
    tunnel.process.kill('SIGTERM')
    expect(await tunnel.process.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - told).toBeLessThan(GONE_WITHIN_MS)
    visitor.close()
  })

  test('the name is free for its owner at once', async () => {
    const former = await system.startAgent({ subdomain: 'leave', target: origin.port })
    former.process.kill('SIGTERM')
    await former.process.exited
    playEcho()
    const next = await system.startAgent({ subdomain: 'leave', target: origin.port })
    expect((await ask(system, get(next.host, '/next'))).body.toString()).toBe('/next')
  })
})

describe('two agents with one name', () => {
  test('the newest has it; the other exits with code 4 and says who has taken it', async () => {
    const other = await ScriptedOrigin.start(async ({ connection, whole }) => {
      await whole()
      connection.write(respond('newer'))
    })
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write(respond('older'))
    })
    const older = await system.startAgent({ subdomain: 'contested', target: origin.port })
    expect((await ask(system, get(older.host))).body.toString()).toBe('older')
    const newer = await system.startAgent({ subdomain: 'contested', target: other.port })
    expect(newer.url).toBe(older.url)
    expect((await ask(system, get(newer.host))).body.toString()).toBe('newer')
    expect(await older.process.exited).toEqual({ code: 4, signal: null })
    expect(older.process.stderr).toMatch(/Another agent.*\(superseded\)/s)
    // It stays with the newer one: nobody fights.
    expect((await ask(system, get(newer.host))).body.toString()).toBe('newer')
    await newer.process.stop()
    await other.stop()
  })
})
