/** A request that comes in at a task without the tunnel is served by way of the one that has it, and nobody can tell. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, visit } from '../support/visits.ts'

let system: System
let origin: http.Server

beforeAll(async () => {
  origin = http.createServer((request, response) => {
    response.setHeader('seen-for', String(request.headers['x-forwarded-for']))
    response.end(`hello ${request.url}`)
  })
  origin.listen(0, '127.0.0.1')
  system = await startSystem({ hop: true })
}, 30_000)

afterAll(async () => {
  await system?.stop()
  origin?.close()
  origin?.closeAllConnections()
})

const target = (): number => (origin.address() as AddressInfo).port

test('a request that comes in at the task without the tunnel is served', async () => {
  const { host } = await system.startAgent({ subdomain: 'simple', target: target() })
  const visitor = await visit(system)
  for (let n = 0; n < 5; n += 1) {
    const answer = await visitor.ask(`GET /${n} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(statusOf(answer)).toBe(200)
    expect(answer.body.toString()).toBe(`hello /${n}`)
    expect(fieldOf(answer, 'seen-for')).toBe('127.0.0.1')
  }
  visitor.close()
})

test('a name that nobody has is not found', async () => {
  const answer = await ask(system, `GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n`)
  expect(statusOf(answer)).toBe(404)
})

test('a request whose agent is killed waits for the next one', async () => {
  const silent = http.createServer(() => {})
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const before = await system.startAgent({ subdomain: 'killed', target: (silent.address() as AddressInfo).port })
  const visitor = await visit(system)
  const arrived = new Promise((resolve) => silent.once('request', resolve))
  visitor.send(`GET /taken HTTP/1.1\r\nHost: ${before.host}\r\n\r\n`)
  await arrived
  before.process.kill('SIGKILL')
  await before.process.exited
  await system.startAgent({ subdomain: 'killed', target: target() })
  const answer = await visitor.next()
  expect(answer.body.toString()).toBe('hello /taken')
  silent.close()
  silent.closeAllConnections()
})
