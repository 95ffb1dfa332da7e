import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type EmbeddedTable, startEmbeddedTable } from '@postern/local/embedded-table'
import { ENV } from '@postern/protocol/environment'
import { createDynamoClient, openStore, type Stores } from '@postern/protocol/store'
import { channelTicketSchema, newDeploymentSecret, workerIdHash } from '@postern/protocol/ticket'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { grant } from './deployment.ts'

const LAMBDA_KB = 600

let folder: string
let table: EmbeddedTable
let stores: Stores
let token: string
let environment: Record<string, string>
const undo: (() => unknown)[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-lambda-'))
  const { LAMBDA_BUNDLE } = await import(new URL('../../../control-plane/bundle.mjs', import.meta.url).href)
  await build({ ...LAMBDA_BUNDLE, outfile: join(folder, 'lambda.mjs') })
  table = await startEmbeddedTable()
  const client = createDynamoClient({ endpoint: table.endpoint })
  undo.push(() => rm(folder, { recursive: true }), table.stop, client.destroy)
  stores = openStore({ tableName: table.tableName, client })
  token = await grant(stores, 'ann')
  environment = {
    [ENV.table]: table.tableName,
    [ENV.base]: 'example.com',
    [ENV.publicUrl]: 'https://{subdomain}.example.com',
    [ENV.channelHost]: 'channel.example.com',
    [ENV.channelPort]: '7000',
    [ENV.channelSecret]: newDeploymentSecret(randomBytes),
    [ENV.grantSecret]: newDeploymentSecret(randomBytes),
    AWS_ENDPOINT_URL: table.endpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }
})
afterAll(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

interface Answer {
  statusCode: number
  headers: Record<string, string>
  body: string
}

/** The bundle in a process of its own, with nothing of this one's environment. */
async function start(changes: Record<string, string> = {}) {
  const runtime = new URL('./lambda-runtime.mjs', import.meta.url)
  const child: ChildProcess = fork(runtime, [join(folder, 'lambda.mjs')], {
    env: { ...environment, ...changes },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  undo.push(() => child.kill())
  const output: string[] = []
  let printed = ''
  child.stdout?.on('data', (data) => {
    printed += data
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => output.push(String(data)))
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the process ended with ${code}: ${output.join('')}`)
  })
  exited.catch(() => {})
  await Promise.race([once(child, 'message'), exited])
  let ids = 0
  return {
    output: () => output.join(''),
    /** The lines on stdout, once there are that many. */
    async lines(count: number): Promise<string[]> {
      const complete = () => printed.split('\n').slice(0, -1)
      while (complete().length < count) await once(child.stdout as Readable, 'data')
      return complete()
    },
    async invoke(event: unknown): Promise<Answer> {
      ids += 1
      const id = ids
      const answered = new Promise<Answer>((resolve, reject) => {
        const hear = (message: { id: number; result?: Answer; error?: string }) => {
          if (message.id !== id) return
          child.off('message', hear)
          if (message.result) resolve(message.result)
          else reject(new Error(message.error))
        }
        child.on('message', hear)
      })
      child.send({ id, event })
      return Promise.race([answered, exited])
    },
  }
}

const recorded = async (name: string) => {
  const text = await readFile(new URL(`./events/${name}.json`, import.meta.url), 'utf8')
  return JSON.parse(text.replaceAll('{token}', token))
}

test(`the bundle is at most ${LAMBDA_KB} KB`, async () => {
  expect((await stat(join(folder, 'lambda.mjs'))).size).toBeLessThanOrEqual(LAMBDA_KB * 1000)
})

test('a recorded POST gets a ticket for the address that API Gateway saw, whatever X-Forwarded-For says', async () => {
  const lambda = await start()
  const answer = await lambda.invoke(await recorded('post-ticket'))
  expect(answer).toMatchObject({
    statusCode: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  })
  const ticket = channelTicketSchema.parse(JSON.parse(answer.body))
  expect(ticket).toMatchObject({ seenIp: '198.51.100.23', url: 'https://demo.example.com' })
  const stored = await stores.tickets.find(workerIdHash(ticket.workerId))
  expect(stored?.allowedIps).toEqual(new Set(['198.51.100.23']))
})

test('the same event with its body in base64 is the same call', async () => {
  const lambda = await start()
  const event = await recorded('post-ticket')
  const body = Buffer.from(event.body).toString('base64')
  expect((await lambda.invoke({ ...event, body, isBase64Encoded: true })).statusCode).toBe(200)
})

test('a recorded GET with a query and cookies is answered', async () => {
  const lambda = await start()
  const answer = await lambda.invoke(await recorded('list-tokens'))
  expect(answer.statusCode).toBe(200)
  expect(JSON.parse(answer.body)).toMatchObject({ items: [{ username: 'ann' }] })
})

test('every method is served, with parameters of the path as API Gateway decodes them', async () => {
  const lambda = await start()
  const admin = await grant(stores, 'root', { scopes: new Set(['admin']) })
  const event = await recorded('post-ticket')
  const ask = async (method: string, rawPath: string, body?: object) => {
    const { body: _, ...bare } = event
    const { 'content-type': type, 'content-length': __, ...headers } = event.headers
    const sent = body && Buffer.from(JSON.stringify(body)).toString('base64')
    const { http } = event.requestContext
    const { statusCode, body: answer } = await lambda.invoke({
      ...{ ...bare, rawPath, routeKey: `${method} ${rawPath}`, cookies: ['a=1', 'b=2'] },
      headers: { ...headers, authorization: `Bearer ${admin}`, ...(body && { 'content-type': type }) },
      ...(sent !== undefined && { body: sent, isBase64Encoded: true }),
      requestContext: { ...event.requestContext, http: { ...http, method, path: rawPath } },
    })
    return [statusCode, answer === '' ? undefined : JSON.parse(answer)]
  }
  const eve = { username: 'eve@example.com' }
  expect(await ask('POST', '/v1/users', eve)).toMatchObject([201, eve])
  expect(await ask('GET', '/v1/users/eve@example.com')).toMatchObject([200, eve])
  expect(await ask('GET', '/v1/users/eve%40example.com')).toMatchObject([200, eve])
  expect(await ask('PATCH', '/v1/users/eve@example.com', { maxTunnels: 1 })).toMatchObject([200, { maxTunnels: 1 }])
  expect(await ask('PUT', '/v1/subdomains/eves', eve)).toMatchObject([200, { name: 'eves', ...eve }])
  expect(await ask('DELETE', '/v1/subdomains/eves')).toEqual([204, undefined])
  expect(await ask('HEAD', '/v1/users/eve@example.com')).toEqual([200, undefined])
  expect(await ask('GET', '/v1/users/eve?username=ann')).toMatchObject([404, { code: 'not-found' }])
  expect(await ask('GET', '/v1/users/100%')).toMatchObject([404, { code: 'not-found' }])
  expect(await ask('OPTIONS', '/v1/users')).toMatchObject([405, { code: 'method-not-allowed' }])
  // A call without a body or its type: what its schema takes of nothing.
  expect(await ask('PUT', '/v1/subdomains/roots')).toMatchObject([200, { username: 'root' }])
})

test.each([
  ['no authorization', { authorization: undefined }, 401, 'token-missing'],
  ['another content type', { 'content-type': 'text/plain' }, 415, 'content-type-unsupported'],
  ['a content length beyond the limit', { 'content-length': '999999' }, 413, 'body-too-large'],
])(
  'a recorded POST with %s is a problem document that names the request of API Gateway',
  async (_, changes, status, code) => {
    const lambda = await start()
    const event = await recorded('post-ticket')
    const headers = JSON.parse(JSON.stringify({ ...event.headers, ...changes }))
    const answer = await lambda.invoke({ ...event, headers })
    expect(answer.statusCode).toBe(status)
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'x-request-id': 'UR1cagG7liAEJqQ=',
    })
    expect(JSON.parse(answer.body)).toMatchObject({ code, requestId: 'UR1cagG7liAEJqQ=' })
  },
)

test('each request is one line of JSON on stdout, without the token, the id or the key', async () => {
  const lambda = await start()
  const event = await recorded('post-ticket')
  const ticket = JSON.parse((await lambda.invoke(event)).body)
  await lambda.invoke({ ...event, rawPath: `/${token}` })
  const lines = (await lambda.lines(5)).map((line) => JSON.parse(line))
  expect(lines[0]).toMatchObject({ level: 'info', message: 'the table answers', ms: expect.any(Number) })
  expect(lines.filter(({ message }) => message === 'request')).toMatchObject([
    {
      level: 'info',
      requestId: 'UR1cagG7liAEJqQ=',
      method: 'POST',
      path: '/',
      status: 200,
      username: 'ann',
      ip: '198.51.100.23',
    },
    { level: 'info', status: 404, code: 'not-found', path: '/pst_[secret]' },
  ])
  for (const secret of [token, ticket.workerId, ticket.encryptionKeyText]) expect(lambda.output()).not.toContain(secret)
})

test('each answer is one document of metrics on stdout', async () => {
  const lambda = await start()
  const event = await recorded('post-ticket')
  await lambda.invoke(event)
  await lambda.invoke({ ...event, headers: {} })
  const documents = (await lambda.lines(5)).map((line) => JSON.parse(line)).filter((line) => '_aws' in line)
  expect(documents).toMatchObject([
    { TicketsIssued: 1, Calls: 1, Operation: 'issueTicketAtRoot', Status: '2xx', requestId: 'UR1cagG7liAEJqQ=' },
    { Refusals: 1, Calls: 1, Operation: 'issueTicketAtRoot', Status: '4xx', Code: 'token-missing' },
  ])
  for (const { _aws, Latency } of documents) {
    expect(Math.abs(_aws.Timestamp - Date.now())).toBeLessThan(60_000)
    expect(Latency).toBeGreaterThan(0)
    for (const { Namespace } of _aws.CloudWatchMetrics) expect(Namespace).toBe('Postern')
  }
})

test('an event of another kind is an error of the function, not an answer', async () => {
  const lambda = await start()
  await expect(lambda.invoke({ Records: [] })).rejects.toThrow('rawPath')
})

test('a table out of reach at start does not keep it from starting, and is 503 to the caller', async () => {
  const lambda = await start({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' })
  expect((await lambda.lines(1))[0]).toContain('the table did not answer at start')
  const answer = await lambda.invoke(await recorded('post-ticket'))
  expect([answer.statusCode, JSON.parse(answer.body).code]).toEqual([503, 'store-unavailable'])
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
})

test('a setting that is missing ends the start and is named', async () => {
  await expect(start({ [ENV.channelPort]: '' })).rejects.toThrow(ENV.channelPort)
})
