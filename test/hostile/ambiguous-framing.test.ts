/** Requests that two readers could read in two ways, sent by real sockets through a whole tunnel: what the visitor is told, and that nothing of them is a request to the local server. */
import { FAULTS } from '@postern/protocol/fault'
import { RULES, type Rule } from '@postern/protocol/http'
import { HEAD_BYTES, HEAD_FIELDS, TARGET_BYTES } from '@postern/protocol/limits'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LiveChannel } from '../../agent/src/live-channel.ts'
import { ODD_CHUNKS, REFUSED_CHUNKS, TOLERATED_CHUNKS } from '../../protocol/src/http/testing/refused-chunks.ts'
import { REFUSED_REQUESTS } from '../../protocol/src/http/testing/refused-requests.ts'
import { HttpClient } from '../support/http-client.ts'
import { fieldOf, readHead } from '../support/http-message.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { StrictOrigin } from '../support/strict-origin.ts'
import { eventually } from '../support/visits.ts'
import { dialAgent } from './dial-agent.ts'
import { BASE, type MemoryTask, startMemoryTask } from './memory-task.ts'
import { PASSED } from './passed-requests.ts'

const HOST = `framing.${BASE}`

let task: MemoryTask
let origin: StrictOrigin
let channel: LiveChannel
let neighbour: HttpClient
beforeAll(async () => {
  task = await startMemoryTask()
  origin = await StrictOrigin.start()
  channel = await dialAgent(await task.desk.issue('framing', task.plane.ports.channel), origin.port)
  neighbour = await HttpClient.open(task.plane.ports.public)
})
afterAll(async () => {
  neighbour?.close()
  channel?.leave(0)
  await task?.stop()
  await origin?.stop()
})

const named = (text: string): string => text.replaceAll('a.example', HOST).replaceAll('A.EXAMPLE', HOST.toUpperCase())
/** What an attacker hopes to bring past whoever reads the first message otherwise. */
const SMUGGLED = named('GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n')

const DELIVERIES = ['in one piece', 'in two'] as const
type Delivery = (typeof DELIVERIES)[number]

async function send(visitor: RawConnection, text: string, delivery: Delivery): Promise<void> {
  const cut = delivery === 'in two' ? text.length >> 1 : text.length
  visitor.write(text.slice(0, cut))
  await new Promise((resolve) => setImmediate(resolve))
  visitor.write(text.slice(cut))
}

let asked = 0
/** The next visitor of the same tunnel gets its own answer, and only its request has reached the local server since `before`. */
async function neighbourIsServed(before: number): Promise<void> {
  const path = `/neighbour-${++asked}`
  const answer = await neighbour.ask(named(`GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`))
  expect(answer.body.toString()).toBe(path)
  expect(origin.requests.slice(before).map(({ startLine }) => startLine)).toEqual([`GET ${path} HTTP/1.1`])
}

async function isRefused(message: string, rule: Rule, delivery: Delivery): Promise<void> {
  const before = origin.requests.length
  const visitor = await RawConnection.open(task.plane.ports.public)
  await send(visitor, message + SMUGGLED, delivery)
  expect(await visitor.over()).toBe('ended')
  const { code } = RULES[rule]
  const head = readHead(visitor.bytes)!
  expect(head.startLine).toMatch(new RegExp(`^HTTP/1\\.1 ${FAULTS[code].status} `))
  expect(head.lines).toContain(`tunnel-error: ${code}`)
  expect(head.lines).toContain('Connection: close')
  expect(visitor.text.match(/^HTTP\/1\.1 /gm), 'one answer').toHaveLength(1)
  if (FAULTS[code].status < 500) expect(visitor.text).toContain(`${rule}: `)
  visitor.close()
  await neighbourIsServed(before)
}

// The preface of HTTP/2 is no ambiguity: it asks for another protocol.
const HEADS = REFUSED_REQUESTS.filter(([title]) => !title.startsWith('RFC 9113'))

test('there are 300 cases or more, no two of one name, and each names the section that it is about', () => {
  const titles = [
    ...HEADS.map(([title]) => title),
    ...REFUSED_CHUNKS.map(([title]) => title),
    ...TOLERATED_CHUNKS.map(([title]) => title),
    ...ODD_CHUNKS.map(([title]) => title),
    ...PASSED.map(({ title }) => title),
  ]
  expect(new Set(titles).size).toBe(titles.length)
  expect(titles.length).toBeGreaterThanOrEqual(300)
  expect(titles.filter((title) => !/^RFC \d+ §\d/.test(title))).toEqual([])
})

describe.each(DELIVERIES)('a head that is refused, %s', (delivery) => {
  test.each(HEADS)('%s', (_title, message, rule) => isRefused(named(message), rule, delivery))
})

describe.each(DELIVERIES)('a chunked body that is refused, %s', (delivery) => {
  const ofResponses = [...TOLERATED_CHUNKS, ...ODD_CHUNKS].map(([title, body, rule]) => [title, body, rule] as const)
  const ofRequests = REFUSED_CHUNKS.map(([title, body, rule]) => [title, body, rule] as const)
  test.each([...ofRequests, ...ofResponses])('%s', (_title, body, rule) =>
    isRefused(
      named(`POST /chunked HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n${body}`),
      rule,
      delivery,
    ),
  )
})

describe('a request behind a good one on the same connection', () => {
  test.each(HEADS.filter(([title]) => title.includes('Transfer-Encoding') || title.includes('Content-Length')))(
    'is refused, and the good one answered: %s',
    async (_title, message, rule) => {
      const before = origin.requests.length
      const client = await HttpClient.open(task.plane.ports.public)
      client.send(named(`POST /good HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc${message}`) + SMUGGLED)
      expect((await client.next('POST')).body.toString()).toBe('/good')
      expect(fieldOf(await client.next(), 'tunnel-error')).toBe(RULES[rule].code)
      expect(await client.connection.over()).toBe('ended')
      expect(client.rest).toHaveLength(0)
      client.close()
      expect(origin.requests.slice(before).map(({ startLine }) => startLine)).toEqual(['POST /good HTTP/1.1'])
    },
  )
})

/** Set by us on every request, and no matter of framing. */
const OURS = /^(?:via|x-forwarded-(?:for|proto|host)|postern-request-id):/i

describe('what is not ambiguous reaches the local server, as exactly this', () => {
  test.each(PASSED)('$title', async ({ sent, reached }) => {
    const before = origin.requests.length
    const visitor = await RawConnection.open(task.plane.ports.public)
    visitor.write(named(sent))
    await visitor.until('every answer', () => (answersIn(visitor) >= reached.length ? true : undefined))
    visitor.close()
    const got = origin.requests
      .slice(before)
      .map(({ startLine, lines, body }) =>
        [startLine, ...lines.filter((line) => !OURS.test(line)), '', body].join('\r\n'),
      )
    expect(got).toEqual(reached.map(named))
  })
})

const answersIn = (visitor: RawConnection): number => visitor.text.match(/HTTP\/1\.1 200 OK\r\n/g)?.length ?? 0

describe('limits: the last that passes, and the first that does not', () => {
  const head = (start: string, ...lines: string[]): string => [start, `Host: ${HOST}`, ...lines, '', ''].join('\r\n')
  const ofBytes = (bytes: number): string => {
    const empty = head('GET /limit HTTP/1.1', 'X: ').length
    return head('GET /limit HTTP/1.1', `X: ${'x'.repeat(bytes - empty)}`)
  }
  const ofFields = (fields: number): string => head('GET /limit HTTP/1.1', ...Array<string>(fields - 1).fill('X: x'))
  const ofTarget = (bytes: number): string => head(`GET /${'x'.repeat(bytes - 1)} HTTP/1.1`)

  test.each([
    ['RFC 9110 §5.4: bytes of a head', HEAD_BYTES, ofBytes, 'head-bytes'],
    ['RFC 9110 §5.4: fields of a head', HEAD_FIELDS, ofFields, 'head-fields'],
    ['RFC 9112 §3: bytes of a target', TARGET_BYTES, ofTarget, 'target-bytes'],
  ] as const)('%s: %i', async (_what, limit, make, rule) => {
    for (const within of [limit - 1, limit]) {
      const client = await HttpClient.open(task.plane.ports.public)
      expect((await client.ask(make(within))).startLine, `${within}`).toBe('HTTP/1.1 200 OK')
      client.close()
    }
    for (const delivery of DELIVERIES) await isRefused(make(limit + 1), rule, delivery)
  })
})

test('the strict local server saw nothing that is no request, and of refused bodies no more than a beginning', async () => {
  neighbour.close()
  channel.leave(0)
  await eventually('the end of every connection to the local server', () => origin.sockets.size === 0)
  expect(origin.violations).toEqual([])
  expect(origin.requests.filter(({ startLine }) => /smuggled|\/chunked/.test(startLine))).toEqual([])
  for (const fragment of origin.fragments) expect(fragment).toMatch(/^POST \/chunked HTTP\/1\.1\r\n/)
  expect(origin.fragments.filter((fragment) => fragment.includes('smuggled'))).toEqual([])
})
