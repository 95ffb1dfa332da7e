/** Ids and Via: what a visitor and an application say about a request passes, and the service adds its own id beside that. */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compare, sending } from '../support/comparison.ts'
import { askOnce } from '../support/http-client.ts'
import { fieldOf, fieldsOf, type Message, statusOf } from '../support/http-message.ts'
import { askByHttp2, visitByHttp2 } from '../support/http2-visits.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'

let system: System
let origin: ScriptedOrigin

const NAMED = 'named.localhost'
const UNNAMED = 'unnamed.localhost'
const SIGNED = 'signed.localhost'
const OUR_ID = /^[0-9a-z]{6}-[0-9a-z]{2,}$/

/** Takes webhooks that are signed as Mercado Pago signs them: with the id of the request among what is hashed. */
const validator = createServer((request, response) => {
  response.setHeader('X-Request-Id', String(request.headers['x-request-id']))
  response.writeHead(isSigned(request) ? 200 : 401).end()
})
const SECRET = 'of the webhook'
const signatureOf = (id: string, time: string): string =>
  createHmac('sha256', SECRET).update(`id:77;request-id:${id};ts:${time};`).digest('hex')

function isSigned({ headers }: IncomingMessage): boolean {
  const [, time, v1] = /^ts=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-signature'])) ?? []
  return time !== undefined && v1 === signatureOf(String(headers['x-request-id']), time)
}

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  await new Promise<void>((resolve) => validator.listen(0, '127.0.0.1', resolve))
  const start = (subdomain: string, target: number, ...args: string[]) => system.startAgent({ subdomain, target, args })
  await Promise.all([
    start('named', origin.port),
    start('unnamed', origin.port, '--no-via'),
    start('signed', (validator.address() as AddressInfo).port),
  ])
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
  validator.closeAllConnections()
  await new Promise((resolve) => validator.close(resolve))
})

const answering =
  (...lines: string[]): Script =>
  async ({ connection, whole }) => {
    await whole()
    connection.write(['HTTP/1.1 200 OK', 'Content-Length: 0', ...lines, '', ''].join('\r\n'))
  }

const get = (host: string, ...lines: string[]): string =>
  ['GET / HTTP/1.1', `Host: ${host}`, ...lines, '', ''].join('\r\n')

const ask = (request: string): Promise<Message> => askOnce(system.publicPort, request)

describe('ids of the visitor and of the application pass as they were sent, and one of ours goes both ways', () => {
  test.each<[what: string, sent: string[], answered: string[]]>([
    ['none', [], []],
    ['one of each', ['X-Request-Id: from the visitor'], ['X-Request-Id: from the application']],
    [
      'several, in odd case and spelling',
      ['x-REQUEST-id: 1', 'X-Request-Id: 2', 'X_Request_Id: 3'],
      ['X_Request_Id: 4'],
    ],
    ['of the visitor alone', ['X-Request-Id: {"a":1}; b'], []],
    ['of the application alone, twice', [], ['X-Request-Id: 1', 'X-Request-Id: 2']],
    ['other names for one', ['X-Correlation-Id: 1', 'Request-Id: |a.b.', 'traceparent: 00-a-b-01'], ['Request-Id: c']],
    ['one that claims to be ours', ['X-Request-Id: 1'], ['X-Request-Id: 1']],
  ])('%s', async (_, sent, answered) => {
    for (const host of [NAMED, UNNAMED]) {
      const visit = sending(get(host, ...sent))
      const { tunnelled } = await compare({
        origin,
        publicPort: system.publicPort,
        visit,
        script: answering(...answered),
      })
      const ours = fieldOf(tunnelled.response, 'postern-request-id')
      expect(ours).toMatch(OUR_ID)
      expect(fieldOf(tunnelled.request, 'postern-request-id')).toBe(ours)
    }
  })

  test.each(['Postern-Request-Id: mine', 'postern_request_id: mine', 'POSTERN.REQUEST.ID: mine'])(
    '%s is dropped, in requests and in responses',
    async (line) => {
      origin.play(answering(line))
      const answer = await ask(get(NAMED, line))
      const request = origin.requests[0]!.head
      expect([...answer.lines, ...request.lines].join('\n')).not.toContain('mine')
      expect(fieldOf(answer, 'postern-request-id')).toBe(fieldOf(request, 'postern-request-id'))
    },
  )

  test('a visitor by HTTP/2 finds the same', async () => {
    const session = visitByHttp2(system)
    origin.play(answering('X-Request-Id: theirs'))
    const { fields } = await askByHttp2(session, { ':authority': NAMED, 'x-request-id': 'mine' })
    session.close()
    const { head } = origin.requests[0]!
    expect([fieldOf(head, 'x-request-id'), fields['x-request-id']]).toEqual(['mine', 'theirs'])
    expect(fields['postern-request-id']).toBe(fieldOf(head, 'postern-request-id'))
  })

  test('an application that signs X-Request-Id accepts what was signed for it, and refuses what was not', async () => {
    const signed = (id: string, v1: string) => ask(get(SIGNED, `X-Request-Id: ${id}`, `X-Signature: ts=17,v1=${v1}`))
    for (const id of ['5f1c-a', 'b9b3', 'c'.repeat(64)]) {
      const answer = await signed(id, signatureOf(id, '17'))
      expect([statusOf(answer), fieldOf(answer, 'x-request-id')]).toEqual([200, id])
    }
    expect(statusOf(await signed('other', signatureOf('5f1c-a', '17')))).toBe(401)
  })
})

test('a refusal carries our id in its head, its JSON, its text and its page', async () => {
  for (const accept of ['application/json', 'text/plain', 'text/html']) {
    const answer = await ask(get('nobody.localhost', `Accept: ${accept}`, 'X-Request-Id: mine'))
    const id = fieldOf(answer, 'postern-request-id')!
    expect(id).toMatch(OUR_ID)
    expect(answer.body.toString()).toContain(id)
    expect([...answer.lines, answer.body].join('\n')).not.toMatch(/mine|x-request-id/i)
  }
})

describe('fields that the service adds', () => {
  const added = (head: { readonly lines: readonly string[] }): string[] =>
    head.lines.map((line) => line.split(':')[0]!.toLowerCase()).toSorted()

  test('to a request: who visits, our id and Via; to a response: our id and how long it took', async () => {
    origin.play(answering('Date: Sun, 06 Nov 1994 08:49:37 GMT'))
    const answer = await ask(get(NAMED))
    const forwarded = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']
    expect(added(origin.requests[0]!.head)).toEqual(['host', 'postern-request-id', 'via', ...forwarded])
    expect(added(answer)).toEqual(['content-length', 'date', 'postern-request-id', 'server-timing'])
  })

  test.each<[what: string, host: string, sent: string[], seen: string[]]>([
    ['Via names the service', NAMED, [], ['1.1 postern']],
    ['behind the Via of others', NAMED, ['Via: 1.1 proxy.example'], ['1.1 proxy.example', '1.1 postern']],
    ['unless it is switched off', UNNAMED, [], []],
    ['then the Via of others stays', UNNAMED, ['via: 1.1 a, 1.0 b', 'Via: 2.0 c'], ['1.1 a, 1.0 b', '2.0 c']],
    ['and what is like ours as well', UNNAMED, ['Via: 1.1 postern.example'], ['1.1 postern.example']],
  ])('%s', async (_, host, sent, seen) => {
    origin.play(answering())
    const answer = await ask(get(host, ...sent))
    expect(fieldsOf(origin.requests[0]!.head, 'via')).toEqual(seen)
    expect(fieldsOf(answer, 'via')).toEqual([])
  })

  test('by HTTP/2 and HTTP/1.0 it is switched off as well', async () => {
    origin.play(answering())
    const session = visitByHttp2(system)
    await askByHttp2(session, { ':authority': UNNAMED })
    await askByHttp2(session, { ':authority': NAMED })
    session.close()
    await ask(`GET / HTTP/1.0\r\nHost: ${UNNAMED}\r\n\r\n`)
    expect(origin.requests.map(({ head }) => fieldsOf(head, 'via'))).toEqual([[], ['2.0 postern'], []])
  })
})
