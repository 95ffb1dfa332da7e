import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { contentOf, fieldOf, fieldsOf, type Message, statusOf } from '../support/http-message.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask, eventually, heldSoFar, visit } from '../support/visits.ts'

let system: System
/** One local server behind all tunnels: what did not reach it reached none. */
let origin: ScriptedOrigin
let folder: string

/** New ones for each run, so that all that the processes leave behind can be searched for them. */
const secret = randomBytes(12).toString('hex')
const onCommandLine = randomBytes(12).toString('hex')
/** UTF-8 and colons belong to passwords (RFC 7617 §2). */
const ANN = `ann:pä:${secret}`

const LOCKED = 'locked.localhost'
const OPEN = 'open.localhost'
const NEARBY = 'nearby.localhost'
const CHANGED = 'changed.localhost'

const basic = (credentials: string): string => `Authorization: Basic ${Buffer.from(credentials).toString('base64')}\r\n`

const get = (host: string, fields = '', path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`

const echo: Script = async ({ connection, head, whole }) => {
  const { body } = await whole()
  const text = `${head.startLine} ${fieldOf(head, 'host')} ${body}`
  connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
}

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  folder = await mkdtemp(join(tmpdir(), 'postern-rules-'))
  const file = join(folder, 'visitors')
  await writeFile(file, `${ANN}\nbob:${secret}\n`, { mode: 0o600 })
  for (const [name, text] of Object.entries({ secret, onCommandLine })) system.canaries.add(`password ${name}`, text)
  const start = (subdomain: string, ...args: string[]) => system.startAgent({ subdomain, target: origin.port, args })
  await Promise.all([
    start('open'),
    start('locked', '--basic-auth-file', file),
    start('nearby', '--allow-cidr', '127.0.0.0/29', '--deny-cidr', '127.0.0.3'),
    start(
      'changed',
      ...['--host-header', 'rewrite', '--request-header-remove', 'Cookie', '--request-header-add', 'X-Stage: demo'],
      ...['--response-header-remove', 'server', '--response-header-add', 'X-Robots-Tag: noindex'],
    ),
  ])
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

let connectionsBefore: number
beforeEach(() => {
  origin.play(echo)
  connectionsBefore = origin.connections.length
})

const expectRefused = (answer: Message, status: number, code: string): void =>
  expect([statusOf(answer), fieldOf(answer, 'tunnel-error')]).toEqual([status, code])

/** Not a connection and not a byte on those that were kept. */
function expectNothingArrived(): void {
  expect(origin.requests).toEqual([])
  expect(origin.connections.length).toBe(connectionsBefore)
}

describe('a tunnel with names and passwords', () => {
  test('asks for them, and nothing of the request reaches the local server', async () => {
    const answer = await ask(system, get(LOCKED))
    expectRefused(answer, 401, 'visitor-unauthorised')
    expect(fieldOf(answer, 'www-authenticate')).toBe('Basic realm="tunnel", charset="UTF-8"')
    for (const wrong of ['ann:', `ann:${secret}`, `bob:${secret}x`, `eve:${secret}`])
      expectRefused(await ask(system, get(LOCKED, basic(wrong))), 401, 'visitor-unauthorised')
    const body = `POST / HTTP/1.1\r\nHost: ${LOCKED}\r\nContent-Length: 4\r\n\r\nbody`
    expectRefused(await ask(system, body), 401, 'visitor-unauthorised')
    expectNothingArrived()
  })

  test('lets each of them in, and keeps them to itself', async () => {
    for (const right of [ANN, `bob:${secret}`]) {
      expect(contentOf(await ask(system, get(LOCKED, basic(right), '/in'))).toString()).toContain(`GET /in HTTP/1.1`)
    }
    expect(origin.requests).toHaveLength(2)
    for (const { head } of origin.requests) expect(fieldsOf(head, 'authorization')).toEqual([])
  })

  test('looks at every request of a connection: of those sent at once, only the one with the password arrives', async () => {
    const visitor = await visit(system)
    const post = `POST /with HTTP/1.1\r\nHost: ${LOCKED}\r\n${basic(ANN)}Content-Length: 4\r\n\r\nbody`
    visitor.send(get(LOCKED, '', '/before') + post + get(LOCKED, '', '/behind') + get(LOCKED, basic(ANN), '/last'))
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(await visitor.next())
    expect(answers.map(statusOf)).toEqual([401, 200, 401, 200])
    expect(answers[1]!.body.toString()).toContain('body')
    expect(origin.requests.map(({ head }) => head.startLine)).toEqual(['POST /with HTTP/1.1', 'GET /last HTTP/1.1'])
    visitor.close()
  })

  test('a body that comes while its new password is being checked arrives whole', async () => {
    const late = await system.startAgent({
      subdomain: 'late',
      target: origin.port,
      args: ['--basic-auth', `cy:${onCommandLine}`],
    })
    expect(late.process.stderr).toMatch(/warning: .*process list.*--basic-auth-file/)
    const visitor = await visit(system)
    const body = 'x'.repeat(200_000)
    visitor.send(
      `PUT / HTTP/1.1\r\nHost: ${late.host}\r\n${basic(`cy:${onCommandLine}`)}Content-Length: ${body.length}\r\n\r\n${body}`,
    )
    const { response } = await visitor.answer('PUT')
    expect(contentOf(response).toString().endsWith(body)).toBe(true)
    visitor.close()
  })

  test('upgrades are asked as well', async () => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    expectRefused(await ask(system, get(LOCKED, upgrade)), 401, 'visitor-unauthorised')
    expectNothingArrived()
    origin.play(({ connection }) =>
      connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'),
    )
    const visitor = await visit(system)
    expect(statusOf(await visitor.ask(get(LOCKED, upgrade + basic(ANN))))).toBe(101)
    visitor.close()
  })

  test('the tunnel beside it asks nobody, and passes on an Authorization of its own', async () => {
    const answer = await ask(system, get(OPEN, basic('dan:own')))
    expect(statusOf(answer)).toBe(200)
    expect(fieldsOf(origin.requests[0]!.head, 'authorization')).toEqual([basic('dan:own').slice(15, -2)])
  })
})

describe('a connection that goes on to another tunnel', () => {
  test('takes neither freedom nor password along', async () => {
    const visitor = await visit(system)
    expect(statusOf(await visitor.ask(get(OPEN)))).toBe(200)
    expectRefused(await visitor.ask(get(LOCKED)), 401, 'visitor-unauthorised')
    expect(statusOf(await visitor.ask(get(LOCKED, basic(ANN))))).toBe(200)
    expectRefused(await visitor.ask(get(LOCKED)), 401, 'visitor-unauthorised')
    expect(statusOf(await visitor.ask(get(OPEN)))).toBe(200)
    expect(origin.requests.map(({ head }) => fieldOf(head, 'host'))).toEqual([OPEN, LOCKED, OPEN])
    visitor.close()
  })
})

describe('an agent that is started again with names and passwords', () => {
  test('has them asked of requests that waited for it, and of those that its predecessor took along', async () => {
    const before = await system.startAgent({ subdomain: 'returned', target: origin.port })
    origin.play(() => {})
    const [taken, held, known] = await Promise.all([visit(system), visit(system), visit(system)])
    taken.send(get(before.host, '', '/taken'))
    expect((await origin.request()).head.startLine).toBe('GET /taken HTTP/1.1')
    before.process.kill('SIGKILL')
    await before.process.exited
    const heldBefore = await heldSoFar(system)
    held.send(`POST /held HTTP/1.1\r\nHost: ${before.host}\r\nContent-Length: 4\r\n\r\nbody`)
    known.send(get(before.host, basic(ANN), '/known'))
    await eventually('both are held', async () => (await heldSoFar(system)) >= heldBefore + 2)
    expect([taken, held, known].map(({ connection }) => connection.length)).toEqual([0, 0, 0])
    origin.play(echo)
    connectionsBefore = origin.connections.length
    const args = ['--basic-auth-file', join(folder, 'visitors')]
    await system.startAgent({ subdomain: 'returned', target: origin.port, args })
    expectRefused(await taken.next(), 401, 'visitor-unauthorised')
    expectRefused(await held.next('POST'), 401, 'visitor-unauthorised')
    expect(statusOf(await known.next())).toBe(200)
    expect(origin.requests.map(({ head }) => head.startLine)).toEqual(['GET /known HTTP/1.1'])
    expect(origin.connections.length).toBe(connectionsBefore + 1)
    for (const visitor of [taken, held, known]) visitor.close()
  })
})

describe('a tunnel for some addresses', () => {
  test('lets in whom it allows and does not deny; the others reach nothing', async () => {
    expect(statusOf(await ask(system, get(NEARBY), '127.0.0.2'))).toBe(200)
    expect(origin.requests).toHaveLength(1)
    origin.play(echo)
    connectionsBefore = origin.connections.length
    for (const address of ['127.0.0.3', '127.0.0.8'])
      expectRefused(
        await ask(system, get(NEARBY, 'X-Forwarded-For: 127.0.0.2\r\n'), address),
        403,
        'visitor-not-allowed',
      )
    expectNothingArrived()
    expect(statusOf(await ask(system, get(OPEN), '127.0.0.3'))).toBe(200)
  })
})

describe('a tunnel that changes heads', () => {
  test('takes fields out and puts fields in, both ways', async () => {
    origin.play(({ connection }) =>
      connection.write('HTTP/1.1 200 OK\r\nServer: secret/1\r\nX-Own: yes\r\nContent-Length: 0\r\n\r\n'),
    )
    const answer = await ask(system, get(CHANGED, 'Cookie: a=1\r\ncookie: b=2\r\nX-Stage: own\r\n'))
    const { head } = origin.requests[0]!
    expect(fieldsOf(head, 'cookie')).toEqual([])
    expect(fieldsOf(head, 'x-stage')).toEqual(['own', 'demo'])
    expect(fieldsOf(answer, 'server')).toEqual([])
    expect(fieldsOf(answer, 'x-robots-tag')).toEqual(['noindex'])
    expect(fieldOf(answer, 'x-own')).toBe('yes')
  })

  test('gives the local server its own name, and leads visitors back from there', async () => {
    const local = `localhost:${origin.port}`
    origin.play(({ connection }) =>
      connection.write(
        `HTTP/1.1 302 Found\r\nLocation: http://${local}/next?a=b\r\nSet-Cookie: a=1; Domain=localhost; Path=/\r\n` +
          `Set-Cookie: b=2; Path=/\r\nContent-Length: 0\r\n\r\n`,
      ),
    )
    const answer = await ask(system, get(CHANGED))
    const { head } = origin.requests[0]!
    expect([fieldOf(head, 'host'), fieldOf(head, 'x-forwarded-host')]).toEqual([local, CHANGED])
    expect(fieldOf(answer, 'location')).toBe(`http://${CHANGED}/next?a=b`)
    expect(fieldsOf(answer, 'set-cookie')).toEqual([`a=1; Domain=${CHANGED}; Path=/`, 'b=2; Path=/'])
  })
})

test.each([
  [['--allow-cidr', '10.0.0.1/8'], /allow-cidr 0: expected an IP address/],
  [['--request-header-add', 'Transfer-Encoding: chunked'], /request-header add 0 0: this field belongs/],
  [['--basic-auth-file', '/nowhere/at/all'], /cannot be read/],
])('the agent does not start with %j', async (args, complaint) => {
  const agent = await system.launchAgent({ subdomain: 'refused', target: origin.port, args })
  expect((await agent.exited).code).toBe(2)
  expect(agent.stderr).toMatch(complaint)
})
