import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { HEARTBEAT_MS, SILENCE_MS } from '@postern/protocol/limits'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentOf, fieldOf, fieldsOf, type Message, statusOf } from '../support/http-message.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, visit } from '../support/visits.ts'

/** 60 s for the first byte of the local server become 9 s; everything else is as much shorter. */
const TIME_SCALE = 0.15

let system: System
let origin: ScriptedOrigin
let host: string

beforeAll(async () => {
  system = await startSystem({ env: { POSTERN_TIME_SCALE: String(TIME_SCALE) } })
  origin = await ScriptedOrigin.start()
  host = (await system.startAgent({ subdomain: 'refusals', target: origin.port })).host
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

const get = (to: string, accept?: string): string =>
  `GET /some/path HTTP/1.1\r\nHost: ${to}\r\n${accept === undefined ? '' : `Accept: ${accept}\r\n`}\r\n`

const post = (to: string): string => `POST /some/path HTTP/1.1\r\nHost: ${to}\r\nContent-Length: 4\r\n\r\nbody`

/** What every answer of ours has, whatever its reason. */
function expectOurs(answer: Message, status: number, code: string): void {
  expect([statusOf(answer), fieldOf(answer, 'tunnel-error')]).toEqual([status, code])
  expect(fieldOf(answer, 'postern-request-id')).toMatch(/^[\w-]{8,}$/)
  expect(fieldOf(answer, 'cache-control')).toBe('no-store')
  expect(answer.body.toString()).not.toContain('/some/path')
  expect(fieldsOf(answer, 'retry-after')).toHaveLength(status === 503 ? 1 : 0)
}

/** The three forms of one refusal, each of which names code and request id. */
async function expectThreeForms(to: string, status: number, code: string): Promise<void> {
  const [page, json, text] = await Promise.all(
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/json', '*/*'].map((accept) =>
      ask(system, get(to, accept)),
    ),
  )
  for (const [answer, type] of [
    [page!, 'text/html'],
    [json!, 'application/problem+json'],
    [text!, 'text/plain'],
  ] as const) {
    expectOurs(answer, status, code)
    expect(fieldOf(answer, 'content-type')).toContain(type)
    expect(answer.body.toString()).toContain(code)
    expect(answer.body.toString()).toContain(fieldOf(answer, 'postern-request-id'))
  }
  expect(page!.body.toString()).toMatch(/^<!doctype html>/)
  expect(JSON.parse(contentOf(json!).toString())).toMatchObject({ status, code })
}

describe('404', () => {
  test('a name without a tunnel', () => expectThreeForms(`nobody-here.${system.base}`, 404, 'tunnel-not-found'))

  test('a host that is not below the base domain', () => expectThreeForms('tunnel.example.com', 404, 'host-unknown'))

  test('two labels below the name of a tunnel', () =>
    expectThreeForms(`b.app.refusals.${system.base}`, 404, 'nested-name'))

  test.each([
    ['an address', () => '127.0.0.1'],
    ['the base as a mere ending', (base: string) => `refusals-${base}`],
  ])('%s the base domain is no tunnel', async (_, hostOf) => {
    const answer = await ask(system, get(hostOf(system.base)))
    expect(statusOf(answer)).toBe(404)
    expect(['host-unknown', 'tunnel-not-found']).toContain(fieldOf(answer, 'tunnel-error'))
  })

  test('HEAD gets the head alone', async () => {
    const answer = await ask(system, `HEAD / HTTP/1.1\r\nHost: nobody-here.${system.base}\r\n\r\n`)
    expectOurs(answer, 404, 'tunnel-not-found')
    expect(Number(fieldOf(answer, 'content-length'))).toBeGreaterThan(0)
  })
})

describe('502', () => {
  test('a local server that is down: said so, and served again on the same tunnel once it is back', async () => {
    const port = await freePort()
    const tunnel = await system.startAgent({ subdomain: 'down-and-up', target: port })
    await expectThreeForms(tunnel.host, 502, 'origin-refused')
    expectOurs(await ask(system, post(tunnel.host)), 502, 'origin-refused')

    const late = await ScriptedOrigin.start(answering('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback'), port)
    expect((await ask(system, get(tunnel.host))).body.toString()).toBe('back')
    await late.stop()
    expectOurs(await ask(system, get(tunnel.host)), 502, 'origin-refused')

    const again = await ScriptedOrigin.start(answering('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain'), port)
    expect((await ask(system, post(tunnel.host))).body.toString()).toBe('again')
    await again.stop()
  })

  test.each(['close', 'reset', 'end'] as const)('a local server that leaves before it answers (%s)', async (leave) => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection[leave]()
    })
    expectOurs(await ask(system, post(host)), 502, 'origin-closed')
    // A request that may be sent twice is, on a stream used before; on a fresh one it is not.
    expectOurs(await ask(system, get(host)), 502, 'origin-closed')
  })

  test('a local server that leaves in the middle of its head', async () => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.end('HTTP/1.1 200 OK\r\nContent-Le')
    })
    expectOurs(await ask(system, get(host)), 502, 'origin-closed')
  })

  test.each([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ['a binary answer', '\x15\x03\x01\0\x02\x02\x16'],
    ['another coding beside chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
    ['a bare carriage return', 'HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n'],
    ['white space before the first field', 'HTTP/1.1 200 OK\r\n c\r\nContent-Length: 0\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(300_000)}`],
  ])('a local server that sends %s', async (_, garbage) => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write(garbage)
    })
    const answer = await ask(system, get(host))
    expectOurs(answer, 502, 'origin-invalid')
    expect(answer.body.toString()).not.toContain('SSH')
  })

  test('and the connection is good for the next request', async () => {
    origin.play(answering('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'))
    expect((await ask(system, get(host))).body.toString()).toBe('good')
  })
})

describe('503', () => {
  test('an agent that was killed: before its heartbeat is missed its name is known to be away, and what was open is cut', async () => {
    const tunnel = await system.startAgent({ subdomain: 'killed', target: origin.port, args: ['--hold', '0'] })
    origin.play(({ connection }) => {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf')
      return connection.over().then(() => undefined)
    })
    const open = await visit(system)
    open.send(get(tunnel.host))
    await open.connection.saw('half')
    const killed = performance.now()
    tunnel.process.kill('SIGKILL')
    expect(await open.connection.over()).toBe('cut')
    const answer = await ask(system, get(tunnel.host))
    expect(performance.now() - killed).toBeLessThan((HEARTBEAT_MS + SILENCE_MS) * TIME_SCALE)
    expectOurs(answer, 503, 'tunnel-offline')
    await expectThreeForms(tunnel.host, 503, 'tunnel-offline')
  })

  test('more requests than a channel has streams: those beyond wait, and are refused if none is free in time', async () => {
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const tunnel = await system.startAgent({ subdomain: 'crowded', target: origin.port })
    origin.play(async ({ connection, whole }) => {
      await whole()
      await held
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    const visitors = await Promise.all(Array.from({ length: 260 }, () => visit(system)))
    // 256 at most are carried; four refusals come when their wait is over. Released earlier, the others would leave streams for them.
    const early: Message[] = []
    const answers = visitors.map((visitor) => visitor.ask(get(tunnel.host)))
    for (const answer of answers) void answer.then((said) => early.push(said)).catch(() => undefined)
    await expect.poll(() => early.length).toBeGreaterThanOrEqual(4)
    for (const refusal of early) expectOurs(refusal, 503, 'streams-exhausted')
    release()
    const all = await Promise.all(answers)
    const statuses = all.map(statusOf)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(250)
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThanOrEqual(4)
    for (const visitor of visitors) visitor.close()
  })
})

describe('504', () => {
  test('a local server that does not answer in time; one that has begun to may take its time', async () => {
    const limit = 60_000 * TIME_SCALE
    origin.play(async ({ connection, head, whole }) => {
      if (head.startLine.includes('/some/path')) return connection.over().then(() => undefined)
      await whole()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl')
      await new Promise((resolve) => setTimeout(resolve, limit * 1.2))
      connection.write('ow')
    })
    const asked = performance.now()
    const slow = ask(system, `GET /slow HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const answer = await ask(system, get(host, 'application/json'))
    expectOurs(answer, 504, 'origin-timeout')
    expect(performance.now() - asked).toBeGreaterThan(limit * 0.95)
    // The local server is let go, too.
    const silent = origin.requests.find(({ head }) => head.startLine.includes('/some/path'))
    await silent!.connection.over()
    expect((await slow).body.toString()).toBe('slow')
  })
})

describe('a visitor that speaks no HTTP', () => {
  test.each([
    ['408', 'a head that does not go on', 'GET / HTTP/1.1\r\nHost: x', 408, 'head-timeout'],
    [
      '400',
      'two lengths',
      'POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'request-invalid',
    ],
    ['400', 'no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'request-invalid'],
    ['400', 'two Hosts', 'GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n', 400, 'request-invalid'],
    ['405', 'CONNECT', 'CONNECT HOST:443 HTTP/1.1\r\nHost: HOST:443\r\n\r\n', 405, 'connect-refused'],
    ['414', 'a target without end', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: HOST\r\n\r\n`, 414, 'uri-too-long'],
    [
      '431',
      'fields without end',
      `GET / HTTP/1.1\r\nHost: HOST\r\n${'X-A: b\r\n'.repeat(101)}\r\n`,
      431,
      'head-too-large',
    ],
    [
      '501',
      'a coding of its own',
      'POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
      501,
      'transfer-coding-unsupported',
    ],
    ['505', 'HTTP/2.0 in clear', 'GET / HTTP/2.0\r\nHost: HOST\r\n\r\n', 505, 'version-unsupported'],
  ])('%s: %s', async (_, __, request, status, code) => {
    origin.play(answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    const client = await visit(system)
    client.send(request.replaceAll('HOST', host))
    const answer = await client.next()
    expectOurs(answer, status, code)
    expect(fieldOf(answer, 'connection')).toBe('close')
    expect(await client.connection.over()).toBe('ended')
    expect(origin.requests).toHaveLength(0)
  })
})

function answering(bytes: string): Script {
  return async ({ connection, whole }) => {
    await whole()
    connection.write(bytes)
  }
}

/** Below the range out of which the system hands ports to whoever asks for any: nobody beside this test gets it meanwhile. */
async function freePort(): Promise<number> {
  const port = randomInt(10_000, 30_000)
  const server = createServer()
  const taken = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(true)).listen(port, '127.0.0.1', () => resolve(false))
  })
  if (taken) return freePort()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}
