/** Tunnels with passwords and what browsers do: preflights, exempted paths, and a cookie that leaves Authorization to the application. */
import { createHmac, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ClientHttp2Session } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashCredentials } from '@postern/protocol/channel'
import { SIGN_IN_MS } from '@postern/protocol/limits'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { credentialSalt } from '../../agent/src/visitor-options.ts'
import { SignInCookie } from '../../data-plane/src/route/sign-in-cookie.ts'
import { TRICKS } from '../../protocol/src/http/testing/tricky-paths.ts'
import { compare, sending } from '../support/comparison.ts'
import { fieldOf, fieldsOf, type Message, statusOf } from '../support/http-message.ts'
import { askByHttp2, visitByHttp2 } from '../support/http2-visits.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, visit } from '../support/visits.ts'

let system: System
/** One local server behind all tunnels: what did not reach it reached none. */
let origin: ScriptedOrigin
let folder: string
let http2: ClientHttp2Session

const channelSecret = newDeploymentSecret(randomBytes)
const secret = randomBytes(12).toString('hex')
const ANN = `ann:${secret}`
const GUARDED = 'guarded.localhost'
/** The same passwords, and no exemption. */
const PLAIN = 'plain.localhost'

const basic = (credentials: string): string => `Authorization: Basic ${Buffer.from(credentials).toString('base64')}`
const request = (start: string, host: string, ...lines: string[]): string =>
  [`${start} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n')

const answer: Script = async ({ connection, whole }) => {
  await whole()
  connection.write('HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\nok')
}

const start = (subdomain: string, ...args: string[]) =>
  system.startAgent({ subdomain, target: origin.port, args: ['--basic-auth-file', join(folder, 'visitors'), ...args] })

beforeAll(async () => {
  system = await startSystem({ secret: channelSecret })
  origin = await ScriptedOrigin.start()
  folder = await mkdtemp(join(tmpdir(), 'postern-sign-in-'))
  await writeFile(join(folder, 'visitors'), `${ANN}\n`, { mode: 0o600 })
  await writeFile(join(folder, 'others'), `ann:other-${secret}\n`, { mode: 0o600 })
  system.canaries.add('password of ann', secret)
  const exemptions = ['--basic-auth-except', '/healthz', '--basic-auth-except', '/webhooks/*']
  await Promise.all([start('guarded', '--basic-auth-allow-preflight', ...exemptions), start('plain')])
  http2 = visitByHttp2(system)
})

afterAll(async () => {
  http2?.close()
  await system?.stop()
  await origin?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

let connectionsBefore: number
beforeEach(() => {
  origin.play(answer)
  connectionsBefore = origin.connections.length
})

const refusal = (message: Message): unknown[] => [statusOf(message), fieldOf(message, 'tunnel-error')]
const UNAUTHORISED = [401, 'visitor-unauthorised']

/** Not a connection and not a byte on those that were kept. */
function expectNothingArrived(): void {
  expect(origin.requests).toEqual([])
  expect(origin.connections.length).toBe(connectionsBefore)
}

/** The cookie that `ann` gets there, as she sends it. */
async function signIn(host: string, credentials = ANN): Promise<string> {
  const response = await ask(system, request('GET /', host, basic(credentials)))
  expect(statusOf(response)).toBe(200)
  const cookie = fieldOf(response, 'set-cookie')!.split(';')[0]!
  system.canaries.add('a sign-in', cookie.split('=')[1]!)
  origin.play(answer)
  connectionsBefore = origin.connections.length
  return cookie
}

describe('preflights', () => {
  const PREFLIGHT = ['Origin: http://app.example', 'Access-Control-Request-Method: PUT']

  test.each<[what: string, start: string, lines: string[]]>([
    [
      'as Chromium sends it',
      'OPTIONS /api',
      [...PREFLIGHT, 'Access-Control-Request-Headers: authorization', 'Sec-Fetch-Mode: cors'],
    ],
    ['with a query', 'OPTIONS /api?a=/../b', PREFLIGHT],
    ['from a file', 'OPTIONS /', ['Origin: null', 'Access-Control-Request-Method: DELETE']],
  ])('%s reaches the local server as it does directly, and no other tunnel’s', async (_, line, lines) => {
    const visitor = sending(request(line, GUARDED, ...lines))
    const { tunnelled } = await compare({ origin, publicPort: system.publicPort, visit: visitor, script: answer })
    expect(fieldsOf(tunnelled.response, 'set-cookie')).toEqual([])
    origin.play(answer)
    expect(refusal(await ask(system, request(line, PLAIN, ...lines)))).toEqual(UNAUTHORISED)
    expect(origin.requests).toEqual([])
  })

  test.each<[what: string, start: string, lines: string[], body?: string]>([
    ['a GET', 'GET /', PREFLIGHT],
    ['with a body', 'OPTIONS /', [...PREFLIGHT, 'Content-Length: 4'], 'body'],
    [
      'with a request for a body',
      'OPTIONS /',
      [...PREFLIGHT, 'Content-Length: 39'],
      'GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n',
    ],
    ['with chunks', 'OPTIONS /', [...PREFLIGHT, 'Transfer-Encoding: chunked'], '1\r\na\r\n0\r\n\r\n'],
    ['with an upgrade', 'OPTIONS /', [...PREFLIGHT, 'Connection: Upgrade', 'Upgrade: websocket']],
    ['with the method of another', 'OPTIONS /', [...PREFLIGHT, 'X-HTTP-Method-Override: DELETE']],
    ['without an origin', 'OPTIONS /', PREFLIGHT.slice(1)],
    ['without a method', 'OPTIONS /', PREFLIGHT.slice(0, 1)],
    ['with a wrong password', 'OPTIONS /', [...PREFLIGHT, basic('ann:wrong')]],
  ])('%s needs the password, and nothing of it arrives', async (_, line, lines, body = '') => {
    expect(refusal(await ask(system, request(line, GUARDED, ...lines) + body))).toEqual(UNAUTHORISED)
    expectNothingArrived()
  })

  test('by HTTP/2 it is the same', async () => {
    const fields = { ':method': 'OPTIONS', origin: 'http://app.example', 'access-control-request-method': 'PUT' }
    expect((await askByHttp2(http2, { ...fields, ':authority': GUARDED })).status).toBe(200)
    expect((await askByHttp2(http2, { ...fields, ':authority': PLAIN })).status).toBe(401)
    expect((await askByHttp2(http2, { ...fields, ':authority': GUARDED }, 'body')).status).toBe(401)
    expect(origin.requests).toHaveLength(1)
  })
})

describe('paths without a password', () => {
  test.each([
    'GET /healthz',
    'GET /webhooks/x/',
    'POST /webhooks/a/b?c=/../d',
    'PUT /webhooks/a%20b',
    'GET /healthz?x',
  ])('%s arrives as it does directly, an Authorization of its own included', async (line) => {
    for (const own of [[], ['Authorization: Bearer abc'], [basic('hook:own')], ['Cookie: a=1; b=2']]) {
      const visitor = sending(request(line, GUARDED, ...own))
      const { tunnelled } = await compare({ origin, publicPort: system.publicPort, visit: visitor, script: answer })
      expect(fieldsOf(tunnelled.response, 'set-cookie')).toEqual([])
    }
  })

  test('the tunnel’s password is kept from the local server there as well', async () => {
    await ask(system, request('GET /webhooks/a', GUARDED, basic(ANN)))
    expect(fieldsOf(origin.requests[0]!.head, 'authorization')).toEqual([])
  })

  test('no spelling of a path leads out of them, by HTTP/1 and HTTP/2', async () => {
    for (const trick of TRICKS) {
      const path = `/webhooks/${trick}`
      for (const target of [path, `http://${GUARDED}${path}`])
        expect([target, statusOf(await ask(system, request(`GET ${target}`, GUARDED)))]).toEqual([
          target,
          expect.toSatisfy(refused),
        ])
      // Node's own client does not send a space.
      if (path.includes(' ')) continue
      const { status } = await askByHttp2(http2, { ':authority': GUARDED, ':path': path })
      expect([path, status]).toEqual([path, expect.toSatisfy(refused)])
    }
    expectNothingArrived()
  })

  const refused = (status: number): boolean => status === 401 || status === 400

  test.each(['X-Original-URL: /admin', 'x_rewrite_url: /admin', 'X-HTTP-Method-Override: DELETE'])(
    'a request with %s needs the password',
    async (line) => {
      expect(refusal(await ask(system, request('GET /webhooks/a', GUARDED, line)))).toEqual(UNAUTHORISED)
      expectNothingArrived()
    },
  )

  test('behind one on the same connection everything else needs it', async () => {
    const visitor = await visit(system)
    visitor.send(
      request('GET /healthz', GUARDED) + request('GET /admin', GUARDED) + request('GET /webhooks/a', GUARDED),
    )
    const answers = [await visitor.next(), await visitor.next(), await visitor.next()]
    expect(answers.map(statusOf)).toEqual([200, 401, 200])
    expect(origin.requests.map(({ head }) => head.startLine)).toEqual([
      'GET /healthz HTTP/1.1',
      'GET /webhooks/a HTTP/1.1',
    ])
    visitor.close()
  })
})

describe('the cookie of a sign-in', () => {
  test('comes with the password, beside what the application sets, and keeps shared caches away', async () => {
    origin.play(({ connection }) =>
      connection.write('HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n'),
    )
    const response = await ask(system, request('GET /', GUARDED, basic(ANN)))
    const [own, ours, ...more] = fieldsOf(response, 'set-cookie')
    expect([own, more]).toEqual(['own=1', []])
    expect(ours).toMatch(/^postern-visitor=[\w.-]+; Path=\/; HttpOnly; SameSite=Strict$/)
    expect(fieldsOf(response, 'cache-control')).toEqual(['public', 'private="set-cookie"'])
  })

  test('leaves Authorization to the application, by HTTP/1, HTTP/2 and for upgrades, and never reaches it', async () => {
    const cookie = await signIn(GUARDED)
    const lines = [`Cookie: a=1; ${cookie}; b=2`, 'Authorization: Bearer abc']
    expect(statusOf(await ask(system, request('GET /1', GUARDED, ...lines)))).toBe(200)
    const fields = { ':authority': GUARDED, cookie: ['a=1', cookie, 'b=2'], authorization: 'Bearer abc' }
    expect((await askByHttp2(http2, { ...fields, ':path': '/2' })).status).toBe(200)
    for (const { head } of origin.requests) {
      expect(fieldsOf(head, 'authorization')).toEqual(['Bearer abc'])
      expect(fieldOf(head, 'cookie')).toBe('a=1; b=2')
    }
    origin.play(({ connection }) =>
      connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    )
    const visitor = await visit(system)
    const upgrade = request('GET /3', GUARDED, `Cookie: ${cookie}`, 'Connection: Upgrade', 'Upgrade: websocket')
    expect(statusOf(await visitor.ask(upgrade))).toBe(101)
    expect(fieldsOf(origin.requests[0]!.head, 'cookie')).toEqual([])
    visitor.close()
  })

  test('does not hold at another tunnel with the same passwords, and does not hinder a cookie that does', async () => {
    const [guarded, plain] = [await signIn(GUARDED), await signIn(PLAIN)]
    for (const [host, cookie] of [
      [PLAIN, guarded],
      [GUARDED, plain],
    ] as const)
      expect(refusal(await ask(system, request('GET /', host, `Cookie: ${cookie}`)))).toEqual(UNAUTHORISED)
    expectNothingArrived()
    for (const both of [
      [`Cookie: ${plain}; ${guarded}`],
      [`Cookie: ${guarded}; ${plain}`],
      [`Cookie: ${plain}`, `Cookie: ${guarded}`],
    ])
      expect(statusOf(await ask(system, request('GET /', GUARDED, ...both)))).toBe(200)
    for (const { head } of origin.requests) expect(fieldsOf(head, 'cookie')).toEqual([])
  })

  test('ends with the password, and holds for an agent that comes back with the same', async () => {
    const first = await start('returning')
    const cookie = await signIn(first.host)
    const withCookie = request('GET /', first.host, `Cookie: ${cookie}`)
    first.process.kill('SIGTERM')
    await first.process.exited
    const args = ['--basic-auth-file', join(folder, 'others')]
    const second = await system.startAgent({ subdomain: 'returning', target: origin.port, args })
    expect(refusal(await ask(system, withCookie))).toEqual(UNAUTHORISED)
    const other = await signIn(first.host, `ann:other-${secret}`)
    second.process.kill('SIGTERM')
    await second.process.exited
    await start('returning')
    expect(statusOf(await ask(system, withCookie))).toBe(200)
    expect(refusal(await ask(system, request('GET /', first.host, `Cookie: ${other}`)))).toEqual(UNAUTHORISED)
  })

  test('is refused when its time is over, and when anything of it was made by somebody else', async () => {
    const salt = credentialSalt(await system.token('tester'), 'plain')
    const rule = {
      salt: salt.toString('base64url'),
      hashes: [(await hashCredentials(Buffer.from(ANN), salt)).toString('base64url')],
    }
    const made = (at: number, key = channelSecret): string => {
      const cookie = new SignInCookie('plain', rule, { keys: parseDeploymentKeys(key), clock: () => at })
      return cookie.linesFor({ scheme: 'http', authority: PLAIN }).split(/[ ;]/)[1]!
    }
    const now = Date.now()
    const status = async (cookie: string) => statusOf(await ask(system, request('GET /', PLAIN, `Cookie: ${cookie}`)))
    expect(await status(made(now))).toBe(200)
    origin.play(answer)
    connectionsBefore = origin.connections.length
    for (const bad of [
      made(now - SIGN_IN_MS - 1000),
      made(now + 2 * SIGN_IN_MS),
      made(now, newDeploymentSecret(randomBytes)),
      made(now).replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')),
      forged(made(now)),
      'postern-visitor=',
      'postern-visitor',
    ])
      expect([bad, await status(bad)]).toEqual([bad, 401])
    expectNothingArrived()
  })
})

/** With the MAC of somebody who has every part of it but the key. */
function forged(cookie: string): string {
  const [rest = ''] = /^.*\./.exec(cookie) ?? []
  return rest + createHmac('sha256', 'no key').update(rest).digest('base64url')
}

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const WHY = CHROMIUM === undefined ? ' (left out: there is no Chromium on this machine)' : ''

describe.skipIf(CHROMIUM === undefined)(`in a browser${WHY}`, () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM!,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-proxy-server'],
    })
  })
  afterAll(() => browser?.close())

  test('a page that signed in fetches with a token of its own, and the application gets that one', async () => {
    origin.play(async ({ connection, head, whole }) => {
      await whole()
      const seen = JSON.stringify([fieldOf(head, 'authorization') ?? null, fieldOf(head, 'cookie') ?? null])
      connection.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${seen.length}\r\n\r\n${seen}`)
    })
    const context = await browser.newContext({ httpCredentials: { username: 'ann', password: secret } })
    const page = await context.newPage()
    const response = await page.goto(`http://${GUARDED}:${system.publicPort}/`)
    expect([response!.status(), await page.innerText('body')]).toEqual([200, '[null,null]'])
    const fetched = await page.evaluate<unknown>(
      `fetch('/api', { headers: { Authorization: 'Bearer abc' } }).then(async (r) => [r.status, await r.text(), document.cookie])`,
    )
    expect(fetched).toEqual([200, '["Bearer abc",null]', ''])
    const [cookie] = await context.cookies()
    expect(cookie).toMatchObject({ name: 'postern-visitor', httpOnly: true, sameSite: 'Strict', domain: GUARDED })
    system.canaries.add('the sign-in of a browser', cookie!.value)
    await context.close()
  })
})
