/** Visitors by HTTP/2 whose tunnel's agent is away, or has rules for them: what is so by HTTP/1.1 (hold.test.ts, visitor-rules.test.ts) is so for them. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http2, { type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { H2_STREAM_WINDOW_BYTES, HELD_PER_NAME, HOLD_MS } from '@postern/protocol/limits'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fieldOf, fieldsOf } from '../support/http-message.ts'
import { answerOf, askByHttp2, type Http2Answer, visitByHttp2 } from '../support/http2-visits.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type AgentStart, type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { eventually, heldSoFar } from '../support/visits.ts'

let system: System
/** One local server behind all tunnels: what did not reach it reached none. */
let origin: ScriptedOrigin
let folder: string
let connectionsBefore: number

const secret = randomBytes(12).toString('hex')
const ANN = `ann:pä:${secret}`
const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`

/** Answers with the SHA-256 of the request's body. */
const digest: Script = async ({ connection, whole }) => {
  const text = createHash('sha256')
    .update((await whole()).body)
    .digest('hex')
  connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`)
}
const digestOf = (body: Buffer | string): string => createHash('sha256').update(body).digest('hex')

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  folder = await mkdtemp(join(tmpdir(), 'postern-http2-'))
  await writeFile(join(folder, 'visitors'), `${ANN}\n`, { mode: 0o600 })
  system.canaries.add('password of ann', secret)
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

beforeEach(() => {
  origin.play(digest)
  connectionsBefore = origin.connections.length
})

const start = (subdomain: string, more: Partial<AgentStart> = {}): Promise<RunningAgent> =>
  system.startAgent({ subdomain, target: origin.port, ...more })

async function kill({ process }: RunningAgent): Promise<void> {
  process.kill('SIGKILL')
  await process.exited
}

/** A name whose agent was killed a moment ago, and a visitor who knows it. */
async function away(subdomain: string, more: Partial<AgentStart> = {}) {
  const agent = await start(subdomain, more)
  await kill(agent)
  const session = visitByHttp2(system)
  const before = await heldSoFar(system)
  /** Resolves once so many requests have been held since. */
  const held = (count: number): Promise<void> =>
    eventually(`${count} are held`, async () => (await heldSoFar(system)) === before + count)
  return { to: { ':authority': agent.host }, session, held }
}

const arrived = (): string[] => origin.requests.map(({ head }) => head.startLine)

/** Not a connection and not a byte on those that were kept. */
function expectNothingArrived(): void {
  expect(origin.requests).toEqual([])
  expect(origin.connections.length).toBe(connectionsBefore)
}

const expectRefused = ({ status, fields }: Http2Answer, wanted: number, code: string): void =>
  expect([status, fields['tunnel-error']]).toEqual([wanted, code])

describe('while the agent is away', () => {
  test('a GET and uploads wait side by side, not a byte of them before it is back, and then each has its answer', async () => {
    const { to, session, held } = await away('side-by-side')
    const body = randomBytes(1024 * 1024)
    const get = askByHttp2(session, { ...to, ':path': '/get' })
    const form = askByHttp2(session, { ...to, ':method': 'POST', ':path': '/form', 'content-length': 6 }, 'a form')
    const put = askByHttp2(session, { ...to, ':method': 'PUT', ':path': '/put', 'content-length': body.length }, body)
    await held(3)
    expectNothingArrived()
    const back = await start('side-by-side')
    for (const [answer, sent] of [
      [get, ''],
      [form, 'a form'],
      [put, body],
    ] as const)
      expect(await answer).toMatchObject({ status: 200, body: digestOf(sent) })
    expect(arrived().toSorted()).toEqual(['GET /get HTTP/1.1', 'POST /form HTTP/1.1', 'PUT /put HTTP/1.1'])
    session.close()
    await kill(back)
  })

  test('of an upload a window is taken, and the rest stays with its visitor until the agent is back', async () => {
    const { to, session, held } = await away('window')
    const body = randomBytes(4 * 1024 * 1024)
    const stream = session.request({ ...to, ':method': 'POST', 'content-length': body.length })
    let uploaded = 0
    const upload = (async () => {
      for (; uploaded < body.length; uploaded += 16 * 1024)
        await new Promise((resolve) => stream.write(body.subarray(uploaded, uploaded + 16 * 1024), resolve))
      stream.end()
    })()
    await held(1)
    let before = 0
    await eventually('the upload stands still', async () => {
      const stood = uploaded > 0 && uploaded === before
      before = uploaded
      await delay(100)
      return stood
    })
    expect(uploaded).toBeLessThanOrEqual(H2_STREAM_WINDOW_BYTES)
    expectNothingArrived()
    const back = await start('window')
    await upload
    expect(await answerOf(stream)).toMatchObject({ status: 200, body: digestOf(body) })
    expect(origin.requests).toHaveLength(1)
    session.close()
    await kill(back)
  })

  test('a visitor that takes its request back makes room for another, and nothing of it arrives', async () => {
    const { to, session, held } = await away('taken-back')
    const ask = (path: string): Promise<Http2Answer> => askByHttp2(session, { ...to, ':path': path })
    const gone = session.request({ ...to, ':method': 'POST', ':path': '/gone' })
    gone.on('error', () => {})
    gone.write('half of it')
    const waiting = Array.from({ length: HELD_PER_NAME - 1 }, (_, index) => ask(`/${index}`))
    await held(HELD_PER_NAME)
    expectRefused(await ask('/too-many'), 503, 'tunnel-offline')
    gone.close(http2.constants.NGHTTP2_CANCEL)
    // What is sent behind it may overtake it on its way out.
    await once(gone, 'close')
    await new Promise<void>((resolve) => session.ping(() => resolve()))
    waiting.push(ask('/instead'))
    await held(HELD_PER_NAME + 1)
    const back = await start('taken-back')
    const answers = await Promise.all(waiting)
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: HELD_PER_NAME }, () => 200))
    expect(arrived()).toHaveLength(HELD_PER_NAME)
    expect(arrived()).toContain('GET /instead HTTP/1.1')
    expect(arrived()).not.toContain('POST /gone HTTP/1.1')
    session.close()
    await kill(back)
  })

  test.each([
    ['0', 0, 0],
    ['400ms', 400, 2],
  ])('with --hold %s a request is answered 503 after %i ms, and its connection goes on', async (hold, least, count) => {
    const { to, session, held } = await away(`hold-${hold}`, { args: ['--hold', hold] })
    for (const body of [undefined, 'a form']) {
      const began = performance.now()
      const answer = await askByHttp2(session, { ...to, ':method': body === undefined ? 'GET' : 'POST' }, body)
      const ms = performance.now() - began
      expectRefused(answer, 503, 'tunnel-offline')
      expect(answer.fields['retry-after']).toBe('2')
      expect(ms).toBeGreaterThanOrEqual(least)
      expect(ms).toBeLessThan(HOLD_MS)
    }
    await held(count)
    expectNothingArrived()
    session.close()
  })

  test('an agent that comes back with names and passwords has them asked of what waited', async () => {
    const { to, session, held } = await away('returned')
    const unknown = askByHttp2(session, { ...to, ':method': 'POST', ':path': '/unknown' }, 'x'.repeat(200_000))
    const known = askByHttp2(session, { ...to, ':path': '/known', authorization: basic(ANN) })
    await held(2)
    const back = await start('returned', { args: ['--basic-auth-file', join(folder, 'visitors')] })
    expectRefused(await unknown, 401, 'visitor-unauthorised')
    expect((await known).status).toBe(200)
    expect(arrived()).toEqual(['GET /known HTTP/1.1'])
    session.close()
    await kill(back)
  })
})

describe('the rules of a tunnel', () => {
  let locked: string
  let nearby: string
  let changed: string
  let session: ClientHttp2Session

  beforeAll(async () => {
    const hosts = await Promise.all([
      start('locked', { args: ['--basic-auth-file', join(folder, 'visitors')] }),
      start('nearby', { args: ['--allow-cidr', '127.0.0.0/29', '--deny-cidr', '127.0.0.3'] }),
      start('changed', {
        args: [
          ...['--host-header', 'rewrite', '--request-header-remove', 'Cookie', '--request-header-add', 'X-Stage: demo'],
          ...['--response-header-remove', 'server', '--response-header-add', 'X-Robots-Tag: noindex'],
        ],
      }),
    ])
    ;[locked, nearby, changed] = hosts.map(({ host }) => host) as [string, string, string]
    session = visitByHttp2(system)
  })

  const ask = (host: string, fields: OutgoingHttpHeaders = {}, body?: string): Promise<Http2Answer> =>
    askByHttp2(session, { ':authority': host, ...fields }, body)

  test('without a password a request is 401, and nothing of it reaches the local server', async () => {
    const answer = await ask(locked, { accept: 'application/json' })
    expectRefused(answer, 401, 'visitor-unauthorised')
    expect(answer.fields['www-authenticate']).toBe('Basic realm="tunnel", charset="UTF-8"')
    expect(JSON.parse(answer.body).code).toBe('visitor-unauthorised')
    for (const wrong of ['ann:', `ann:${secret}`, `eve:${secret}`])
      expectRefused(await ask(locked, { authorization: basic(wrong) }), 401, 'visitor-unauthorised')
    expectRefused(await ask(locked, { ':method': 'POST' }, 'x'.repeat(300_000)), 401, 'visitor-unauthorised')
    expectNothingArrived()
  })

  test('with it the request arrives, without it; each request of a connection is asked', async () => {
    const authorization = basic(ANN)
    const answers = await Promise.all([
      ask(locked, { ':path': '/before' }),
      ask(
        locked,
        { ':method': 'POST', ':path': '/with', 'content-length': 200_000, authorization },
        'x'.repeat(200_000),
      ),
      ask(locked, { ':path': '/behind' }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([401, 200, 401])
    expect(answers[1]!.body).toBe(digestOf('x'.repeat(200_000)))
    expect(arrived()).toEqual(['POST /with HTTP/1.1'])
    expect(fieldsOf(origin.requests[0]!.head, 'authorization')).toEqual([])
  })

  test('an address that they deny or do not allow is 403, and reaches nothing', async () => {
    const near = visitByHttp2(system, '127.0.0.2')
    expect((await askByHttp2(near, { ':authority': nearby })).status).toBe(200)
    near.close()
    origin.play(digest)
    connectionsBefore = origin.connections.length
    for (const address of ['127.0.0.3', '127.0.0.8']) {
      const far = visitByHttp2(system, address)
      const answer = await askByHttp2(far, { ':authority': nearby, 'x-forwarded-for': '127.0.0.2' }, 'a form')
      expectRefused(answer, 403, 'visitor-not-allowed')
      far.close()
    }
    expectNothingArrived()
  })

  test('take fields out and put fields in, both ways', async () => {
    origin.play(({ connection }) =>
      connection.write('HTTP/1.1 200 OK\r\nServer: secret/1\r\nX-Own: yes\r\nContent-Length: 0\r\n\r\n'),
    )
    const { fields } = await ask(changed, { cookie: ['a=1', 'b=2'], 'x-stage': 'own' })
    const { head } = origin.requests[0]!
    expect(fieldsOf(head, 'cookie')).toEqual([])
    expect(fieldsOf(head, 'x-stage')).toEqual(['own', 'demo'])
    expect(fields).toMatchObject({ 'x-robots-tag': 'noindex', 'x-own': 'yes' })
    expect(fields).not.toHaveProperty('server')
  })

  test('give the local server its own name, and lead visitors back from there', async () => {
    const local = `localhost:${origin.port}`
    origin.play(({ connection }) =>
      connection.write(
        `HTTP/1.1 302 Found\r\nLocation: http://${local}/next?a=b\r\nSet-Cookie: a=1; Domain=localhost; Path=/\r\n` +
          `Set-Cookie: b=2; Path=/\r\nContent-Length: 0\r\n\r\n`,
      ),
    )
    const { status, fields } = await ask(changed)
    const { head } = origin.requests[0]!
    expect([fieldOf(head, 'host'), fieldOf(head, 'x-forwarded-host')]).toEqual([local, changed])
    expect([status, fields.location]).toEqual([302, `http://${changed}/next?a=b`])
    expect(fields['set-cookie']).toEqual([`a=1; Domain=${changed.split(':')[0]}; Path=/`, 'b=2; Path=/'])
    session.close()
  })
})

test('SIGTERM to the data plane ends the waiting: GOAWAY, 503 with Retry-After to each, and the process is soon gone', async () => {
  const { to, session, held } = await away('drained')
  const waiting = [
    ...Array.from({ length: 10 }, () => askByHttp2(session, to)),
    askByHttp2(session, { ...to, ':method': 'POST' }, 'x'.repeat(1024 * 1024)),
  ]
  await held(waiting.length)
  const goaway = once(session, 'goaway')
  system.dataPlane.kill('SIGTERM')
  expect((await goaway)[0]).toBe(http2.constants.NGHTTP2_NO_ERROR)
  for (const answer of await Promise.all(waiting)) {
    expectRefused(answer, 503, 'tunnel-offline')
    expect(answer.fields['retry-after']).toBe('2')
  }
  expect(await system.dataPlane.exited).toEqual({ code: 0, signal: null })
  expectNothingArrived()
})
