/** What the person at the agent reads of answers that were refused or are slow to come, and of cookies that were dropped; how long visitors wait. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, fieldsOf, statusOf } from '../support/http-message.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { ask, eventually } from '../support/visits.ts'

/** 60 s are 3 s, and 10 min are 30 s. */
const SCALE = 0.05

let system: System
let origin: ScriptedOrigin
let agent: RunningAgent
let patient: RunningAgent
let hurried: RunningAgent
beforeAll(async () => {
  system = await startSystem({ env: { POSTERN_TIME_SCALE: String(SCALE) } })
  origin = await ScriptedOrigin.start()
  const target = origin.port
  agent = await system.startAgent({ target, subdomain: 'notices' })
  patient = await system.startAgent({ target, subdomain: 'patient', args: ['--first-byte', '0'] })
  hurried = await system.startAgent({ target, subdomain: 'hurried', args: ['--first-byte', '500ms'] })
})
afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

const get = (host: string, path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const linesOf = ({ process }: RunningAgent, pattern: RegExp): string[] =>
  process.stderr.split('\n').filter((line) => pattern.test(line))
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'

describe('an answer that is refused says at the agent which rule of which RFC it broke, and where', () => {
  test.each([
    [
      'in the status line',
      'HTTP/3.0 200 OK\r\n\r\n',
      'version-unsupported: the version is 1.0 or 1.1 (RFC 9110 §2.5), in line 1 of the head',
    ],
    [
      'in a field',
      'HTTP/1.1 200 OK\r\nA: 1\r\nB(: 2\r\n\r\n',
      'field-name-token: a field line begins with a name, which is a token, and a colon (RFC 9112 §5), in line 3 of the head',
    ],
    [
      'in two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      'content-length-repeated: a message has one Content-Length, or a response the same number again (RFC 9112 §6.3), in line 3 of the head',
    ],
    [
      'in a chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n',
      'chunk-size: a chunk begins with its size in hexadecimal digits (RFC 9112 §7.1), in chunk 2 of the body',
    ],
    [
      'in a trailer',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: 1\r\n b\r\nB: \0\r\n\r\n',
      '§5.5), in line 3 of the trailers',
    ],
  ])('%s', async (where, answer, said) => {
    const path = `/${where.replaceAll(' ', '-')}`
    origin.play(({ connection }) => connection.write(answer))
    const refused = await ask(system, get(agent.host, `${path}?secret=1`))
    expect([statusOf(refused), fieldOf(refused, 'tunnel-error')]).toEqual([502, 'origin-invalid'])
    await eventually(said, async () =>
      linesOf(agent, new RegExp(`GET ${path}:`))
        .join()
        .includes(said),
    )
    expect(agent.process.stderr).not.toContain('secret=1')
  })
})

describe('a cookie for the whole service is dropped, and reported once', () => {
  test.each([
    ['base', 'Domain=localhost'],
    ['dotted', 'Path=/; domain=.LOCALHOST; HttpOnly'],
    ['unusual', 'Domain=%6cocalhost'],
  ])('%s', async (name, attributes) => {
    origin.play(async ({ connection, whole }) => {
      await whole()
      connection.write(OK.replace('\r\n\r\n', `\r\nSet-Cookie: ${name}=1; ${attributes}\r\nSet-Cookie: own=1\r\n\r\n`))
    })
    const client = await HttpClient.open(system.publicPort)
    for (let time = 0; time < 3; time++)
      expect(fieldsOf(await client.ask(get(agent.host, '/')), 'set-cookie')).toEqual(['own=1'])
    client.close()
    const reports = (): string[] => linesOf(agent, new RegExp(`cookie: ${name} was dropped`))
    await eventually('the report', async () => reports().length > 0)
    expect(reports()).toHaveLength(1)
  })
})

describe('a local server takes its time', () => {
  /** Answers the request for /long-poll when it is told to, and no other. */
  function held(): { answer: () => void } {
    let answer = (): void => {}
    origin.play(async ({ head, connection, whole }) => {
      await whole()
      await new Promise<void>((resolve) => {
        if (!head.startLine.includes('/long-poll')) return
        answer = () => {
          connection.write(OK)
          resolve()
        }
      })
    })
    return { answer: () => answer() }
  }

  test('the terminal says after a while what is waited for, and the usual limit ends the wait', async () => {
    held()
    const answer = await ask(system, get(agent.host, '/slow'))
    expect([statusOf(answer), fieldOf(answer, 'tunnel-error')]).toEqual([504, 'origin-timeout'])
    expect(linesOf(agent, /still waiting/)).toEqual([
      `tunnel-agent: still waiting for localhost:${origin.port}: GET /slow`,
    ])
  })

  test("the tunnel's own limit is shorter than the usual one, and nothing is said", async () => {
    held()
    const answer = await ask(system, get(hurried.host, '/slow'))
    expect(fieldOf(answer, 'tunnel-error')).toBe('origin-timeout')
    expect(linesOf(hurried, /still waiting/)).toEqual([])
  })

  test('without a limit the answer arrives whenever it comes, and what is waited for is said once', async () => {
    const { answer } = held()
    const client = await HttpClient.open(system.publicPort)
    client.send(get(patient.host, '/long-poll'))
    // Others have come to the usual limit by then, twice.
    for (let time = 0; time < 2; time++) await ask(system, get(agent.host, '/meanwhile'))
    answer()
    expect(contentOf((await client.answer()).response).toString()).toBe('good')
    expect(linesOf(patient, /still waiting/)).toHaveLength(1)
    client.close()
  })
})

test('event streams that are silent for longer than a body may be are not cut', async () => {
  const going: (() => void)[] = []
  const said = (text: string, chunked: boolean): string =>
    chunked ? `${text.length.toString(16)}\r\n${text}\r\n` : text
  origin.play(async ({ head, connection, whole }) => {
    await whole()
    const chunked = head.startLine.includes('/chunked')
    const framing = head.startLine.includes('/stalled')
      ? 'Content-Length: 99\r\n'
      : chunked
        ? 'Transfer-Encoding: chunked\r\n'
        : ''
    connection.write(`HTTP/1.1 200 OK\r\n${framing}\r\n${said('data: 1\n\n', chunked)}`)
    await new Promise<void>((resolve) => going.push(resolve))
    connection.end(said('data: 2\n\n', chunked) + (chunked ? '0\r\n\r\n' : ''))
  })
  const visits: HttpClient[] = []
  // A stalled body of known length, begun last, has been cut when its time is over.
  for (const path of ['/chunked', '/closed', '/stalled']) {
    const client = await HttpClient.open(system.publicPort)
    client.send(get(agent.host, path))
    await client.connection.saw('data: 1')
    visits.push(client)
  }
  const [chunked, closed, stalled] = visits as [HttpClient, HttpClient, HttpClient]
  expect(await stalled.connection.over(60_000)).toBe('cut')
  for (const go of going) go()
  for (const events of [chunked, closed])
    expect(contentOf((await events.answer()).response).toString()).toBe('data: 1\n\ndata: 2\n\n')
  for (const client of visits) client.close()
})
