/** gunicorn and uvicorn, which close kept connections after 1, 2 and 5 s, with requests around that moment. */
import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'vitest'
import * as z from 'zod/mini'
import { size } from '../support/full-size.ts'
import { Checks } from './checks.ts'
import { pythonPackages, suitePython } from './install.ts'
import { pythonEnv } from './python-suite.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { startServer } from './server-process.ts'
import type { Suite, Way } from './suite.ts'
import { visit } from './visit.ts'

/** Rounds for each time that a server keeps a connection, about 13 s in all. */
const ROUNDS = new Map([
  [1, size(5, 30)],
  [2, size(3, 20)],
  [5, size(2, 10)],
])
/** Every millisecond around the moment of closing, then every 41 ms: gunicorn looks for idle connections once a second. */
const OFFSETS_MS = [
  ...Array.from({ length: 32 }, (_, index) => index - 16),
  ...Array.from({ length: 32 }, (_, index) => -150 + 41 * index),
]
const LAST_MS = 1200
/** Not idempotent (RFC 9110 §9.2.2): never sent again. */
const ONCE = 'POST'
const METHODS = ['GET', 'PUT', 'GET', 'DELETE', 'HEAD', 'PUT', 'OPTIONS', ONCE]

const tallySchema = z.object({ connections: z.number(), deliveries: z.record(z.string(), z.number()) })

interface Server {
  readonly name: string
  readonly args: (keepAliveSeconds: number) => readonly string[]
}

const GUNICORN: Server = {
  name: 'gunicorn',
  args: (seconds) => [
    ...['-m', 'gunicorn', '--bind', '127.0.0.1:0', '--worker-class', 'gthread', '--threads', '80'],
    ...['--keep-alive', String(seconds), '--graceful-timeout', '1', 'keep_alive_app:wsgi'],
  ],
}
const UVICORN: Server = {
  name: 'uvicorn',
  args: (seconds) => [
    ...['-m', 'uvicorn', '--host', '127.0.0.1', '--port', '0', '--timeout-keep-alive', String(seconds)],
    // The application counts connections by their own address, not by X-Forwarded-For.
    ...['--timeout-graceful-shutdown', '1', '--no-proxy-headers', 'keep_alive_app:asgi'],
  ],
}

const suiteOf = ({ name, args }: Server): Suite => ({
  name,
  checks: ROUNDS.size * 3 + 2,
  install: pythonPackages,
  async run(way) {
    const checks = new Checks()
    const python = await suitePython()
    await Promise.all(
      [...ROUNDS].map(async ([seconds, rounds]) => {
        const server = await startServer(python, args(seconds), { env: pythonEnv() })
        try {
          const url = await way.reach(server.port)
          const failed = await roundsOfVisits(way, url, seconds, rounds)
          const { connections, deliveries } = z.parse(
            tallySchema,
            JSON.parse(String((await visit(`${url}/tally`)).body)),
          )
          const total = (rounds + 2) * OFFSETS_MS.length
          const kept = `keep-alive of ${seconds} s:`
          await checks.that(`${kept} no idempotent request of ${total} requests fails`, async () =>
            none(failed.filter((request) => !request.startsWith(ONCE))),
          )
          // Such a request gets connections idle for less than 1 s, which is too long for a server that closes after 1 s.
          if (seconds > 1)
            await checks.that(`${kept} no ${ONCE} fails`, async () =>
              none(failed.filter((request) => request.startsWith(ONCE))),
            )
          await checks.that(`${kept} no ${ONCE} is delivered twice`, async () =>
            none(Object.keys(deliveries).filter((id) => id.startsWith(ONCE) && deliveries[id]! > 1)),
          )
          await checks.that(`${kept} connections were kept, and closed by the server`, async () => {
            if (connections > OFFSETS_MS.length && connections < total) return true
            throw new Error(`${connections} connections for ${total} requests`)
          })
        } finally {
          await server.stop()
        }
      }),
    )
    return checks.outcomes
  },
})

/** @throws Error that names the first of them */
function none(requests: readonly string[]): boolean {
  if (requests.length > 0) throw new Error(`${requests.length} of them: ${requests.slice(0, 5).join('; ')}`)
  return true
}

/** Each round finds connections that were all answered at one instant. @returns the requests that failed, and how */
async function roundsOfVisits(way: Way, url: string, seconds: number, rounds: number): Promise<string[]> {
  const agent = new Agent({ keepAlive: true })
  const failed: string[] = []
  try {
    let answered = 0
    // Twice, so that some requests certainly find kept connections.
    for (const _ of [1, 2]) {
      answered = Date.now() + 500
      await Promise.all(OFFSETS_MS.map((_offset, index) => visitAt(Date.now(), index, answered)))
    }
    for (let round = 0; round < rounds; round++) {
      const closing = answered + seconds * 1000
      answered = closing + LAST_MS
      await Promise.all(OFFSETS_MS.map((offset, index) => visitAt(closing + offset, index, answered)))
    }
  } finally {
    agent.destroy()
  }
  return failed

  async function visitAt(atMs: number, index: number, untilMs: number): Promise<void> {
    await delay(Math.max(0, atMs - Date.now()))
    const method = METHODS[index % METHODS.length]!
    const target = `${url}/?id=${method}-${randomUUID()}&until=${untilMs}`
    const visitor = { method, ...(/^P/.test(method) && { body: 'some bytes' }) }
    const ask = (by: Agent | false) =>
      visit(target, { ...visitor, agent: by }).then(
        ({ status }) => (status === 200 ? undefined : `status ${status}`),
        (error: Error) => error.message,
      )
    // Without a tunnel the client itself retries idempotent requests (RFC 9110 §9.2.2) and sends a POST on a new connection.
    const careful = way.name === 'direct'
    let failure = await ask(careful && method === ONCE ? false : agent)
    if (careful && failure !== undefined && method !== ONCE) failure = await ask(false)
    if (failure !== undefined) failed.push(`${method}: ${failure}`)
  }
}

test.for([GUNICORN, UVICORN])(
  '$name: requests around the end of kept connections are answered through the tunnel',
  (server, context) => sameThroughTunnel(suiteOf(server), context),
)
