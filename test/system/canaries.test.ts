/** Row 19 of docs/reliability.md. Every system of every test is searched as it stops; here is shown that the search finds what is there. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { newToken } from '@postern/protocol/ticket'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Canaries, type Place } from '../support/canaries.ts'
import { searchAll } from '../support/canary-tally.ts'
import { contentOf, statusOf } from '../support/http-message.ts'
import { opsAnswers } from '../support/ops-answers.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import type { TestProcess } from '../support/test-process.ts'
import { ask, newTicket, ticketRequest } from '../support/visits.ts'

const token = (): string => newToken('user', randomBytes).reveal()
const place = (text: string | Buffer, newTokens?: number): Place => ({
  name: 'a place',
  bytes: Buffer.from(text),
  ...(newTokens !== undefined && { newTokens }),
})

describe('row 19: a secret is found however it is written', () => {
  const key = randomBytes(32)
  const text = token()
  const canaries = new Canaries()
  canaries.add('the key', key.toString('hex'))
  canaries.add('the token', text)

  test.each<[form: string, written: string | Buffer]>([
    ['as it is', `{"key":"${key.toString('hex')}"}`],
    ['in capital letters', key.toString('hex').toUpperCase()],
    ['in base64', `x ${key.toString('base64')}`],
    ['in base64 of more, one byte on', Buffer.concat([Buffer.from('.'), key, Buffer.from('..')]).toString('base64')],
    ['in base64 of more, two bytes on', Buffer.concat([Buffer.from('..'), key]).toString('base64')],
    ['in base64url', key.toString('base64url')],
    ['as bytes', Buffer.concat([Buffer.from('before'), key, Buffer.from('behind')])],
    ['as bytes that were taken for characters', key.toString('latin1')],
    ['as console.log shows a Buffer', inspect({ key })],
    ['as console.log shows bytes', inspect(new Uint8Array(key))],
    ['as JSON of a Buffer', JSON.stringify({ key })],
    ['as JSON of bytes', JSON.stringify(new Uint8Array(key))],
    ['in part', `${key.toString('hex').slice(20, 36)}…`],
  ])('a key %s', (_form, written) => {
    expect(canaries.find([place(written)])).toEqual([
      expect.objectContaining({ place: 'a place', what: expect.stringMatching(/^the key, as /) }),
    ])
  })

  test.each([
    ['as it is', `Error: ${text} is wrong`],
    ['in hexadecimal', Buffer.from(text).toString('hex')],
    ['in base64', Buffer.from(`Bearer ${text}`).toString('base64')],
    ['cut short', text.slice(0, 20)],
  ])('a token %s', (_form, written) => {
    expect(canaries.find([place(written)])).toEqual([expect.objectContaining({ place: 'a place' })])
  })

  test('what is told of it is where and what, never the secret', () => {
    const [leak] = canaries.find([
      place(`first line\nauthorization=${text} key=${key.toString('base64')} status=401\nlast`),
    ])
    expect(leak).toEqual({
      place: 'a place',
      what: 'the token, as text',
      context: expect.stringMatching(/^authorization=█ key=█.{1,2} status=401$/),
    })
  })

  test('hashes, ids and other tokens are none', () => {
    const others = [
      token(),
      randomBytes(32).toString('hex'),
      '01KAS1XJ3N8W2V6Q4Z0R5T7Y9B',
      'pst_[secret]',
      text.slice(0, 12),
    ]
    expect(canaries.find([place(others.join('\n'))])).toEqual([])
  })

  test('where a token is shown to its person, that one may stand, and once', () => {
    const another = token()
    canaries.add('another token', another)
    expect(canaries.find([place(`${text}\n`, 1)])).toEqual([])
    expect(canaries.find([place(`${text}\n${text}\n`, 1)])).toHaveLength(1)
    expect(canaries.find([place(`${text}\n${another}\n`, 1)])).toHaveLength(1)
    expect(canaries.find([place(`${text}\n${another}\n`, 2)])).toEqual([])
    expect(canaries.find([place(key.toString('hex'), 1)])).toHaveLength(1)
    expect(canaries.find([place(Buffer.from(text).toString('base64'), 1)])).toHaveLength(1)
  })
})

/** What a system says of what it leaves behind. */
const complaintOf = (system: System): Promise<Error> =>
  system.stop().then(
    () => expect.unreachable('it has found nothing'),
    (reason) => reason,
  )

describe('row 19: a system that leaves a secret behind says where as it stops', () => {
  let system: System

  beforeEach(async () => {
    system = await startSystem()
  })

  // Harmless where the test has stopped it.
  afterEach(() => system?.stop())

  /** A process that does `script` with a ticket's key. */
  async function leak(script: string, newTokens?: number): Promise<{ process: TestProcess; key: string }> {
    const { encryptionKeyText: key } = await newTicket(system, 'leaking')
    const args = ['--input-type=commonjs', '-e', script]
    const process = system.run({ name: 'leaker', args, env: { SECRET: key }, ...(newTokens && { newTokens }) })
    await process.exited
    return { process, key }
  }

  test.each([
    ['console.log(process.env.SECRET)', /standard output of process 2 \(leaker\) shows the key of a ticket, as text/],
    ['console.error(Buffer.from(process.env.SECRET, "hex"))', /standard error of process 2 .* the key of a ticket/],
    ['process.stderr.write(Buffer.from(process.env.SECRET, "hex"))', /standard error of process 2 .*, as bytes/],
    ['throw new Error("no " + process.env.SECRET)', /standard error of process 2 .*as text: .*Error: no █/],
    [
      'Promise.reject(Object.assign(new Error(), { key: process.env.SECRET }))',
      /standard error of process 2 .*key: '█'/,
    ],
  ])('by a process that does %s', async (script, complaint) => {
    const { key, process } = await leak(script)
    expect(process.written('stdout').length + process.written('stderr').length).toBeGreaterThan(0)
    const error = await complaintOf(system)
    expect(error.message).toMatch(complaint)
    expect(error.message).not.toContain(key.slice(0, 16))
  })

  test('by a key where a new token may stand', async () => {
    await leak('console.log(process.env.SECRET)', 1)
    await expect(system.stop()).rejects.toThrow('the key of a ticket, as text')
  })

  test('in the log of the control plane', async () => {
    const { workerId } = await newTicket(system, 'leaking')
    await ask(system, `GET /v1/tokens/${workerId} HTTP/1.1\r\nHost: ${system.base}\r\n\r\n`)
    await expect(system.stop()).rejects.toThrow(/the log of the control plane shows the id of a ticket, as text/)
  })

  test('in an answer of the control plane, by which the log of no process is touched', async () => {
    const { encryptionKeyText } = await newTicket(system, 'leaking')
    const label = Buffer.from(encryptionKeyText, 'hex').toString('base64url')
    const bearer = `Bearer ${(await system.token('tester')).reveal()}`
    const made = await ask(system, ticketRequest(system.base, bearer, { label }).replace('POST /', 'POST /v1/tokens'))
    expect(statusOf(made), contentOf(made).toString()).toBe(201)
    const error = await complaintOf(system)
    const places = error.message.split('\n').slice(1)
    expect(places.map((line) => line.split(' shows ')[0]).sort()).toEqual([
      'the answers of the control plane',
      'the table',
    ])
  })

  test('in the table', async () => {
    const audit = {
      actor: 'tester',
      action: 'planted',
      ip: '127.0.0.1',
      result: 'done',
      newId: () => '01KAS1XJ3N8W2V6Q4Z0R5T7Y9B',
    }
    await system.stores.audit.add({ ...audit, target: (await system.token('tester')).reveal(), now: Date.now() })
    await expect(system.stop()).rejects.toThrow('the table shows the token of tester, as text')
  })

  test('and one that does not, in a life with everything in it, stops without a word', async () => {
    const origin = await ScriptedOrigin.start()
    origin.play(({ connection }) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const agent = await system.startAgent({ target: origin.port, subdomain: 'clean' })
    await newTicket(system, 'never-opened')
    const answer = await ask(system, `GET / HTTP/1.1\r\nHost: ${agent.host}\r\n\r\n`)
    expect(statusOf(answer)).toBe(200)
    const refused = await system.launchAgent({ target: 1, token: token() })
    expect((await refused.exited).code).toBe(3)
    system.dataPlane.kill('SIGKILL')
    // Id and key of two tickets, two tokens, three keys of the deployment and five that are derived from each, the AWS key.
    expect(system.canaries.size).toBe(2 * 2 + 2 + 3 * 6 + 1)
    await system.stop()
    await origin.stop()
  })
})

test('row 19: what a data plane tells whoever watches it is searched, too', async () => {
  const secret = token()
  const watched = createServer((request, response) =>
    response.end(request.url === '/metrics' ? `up{by="${secret}"} 1` : 'ok'),
  )
  await new Promise<void>((resolve) => watched.listen(0, '127.0.0.1', resolve))
  const answers = await opsAnswers((watched.address() as AddressInfo).port)
  watched.close()
  expect(answers.map(({ bytes }) => String(bytes).slice(0, 2))).toEqual(['ok', 'ok', 'up'])
  const canaries = new Canaries()
  canaries.add('a token', secret)
  expect(() => searchAll(canaries, answers)).toThrow(
    /the answer to \/metrics of the data plane shows a token, as text: up{by="█"} 1$/,
  )
})
