import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  type AddressInfo,
  createServer as createTcpServer,
  connect as dial,
  type LookupFunction,
  type Socket,
} from 'node:net'
import { createServer, type Server } from 'node:tls'
import { newToken, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KnockCall, knock } from '../../canary/src/knock.ts'
import { documentOf } from '../../canary/src/metrics.ts'
import { visit } from '../../canary/src/visit.ts'
import { selfSigned } from '../support/self-signed.ts'
import { type System, startSystem } from '../support/start-system.ts'

const DEADLINE_MS = 60_000
const DAY_MS = 86_400_000

let system: System
let token: string

beforeAll(async () => {
  system = await startSystem()
  token = await leastToken()
})
afterAll(async () => {
  await system?.stop()
})

/** What docs/operations.md has a person make: one name, one scope, one tunnel and the one before it. */
async function leastToken(): Promise<string> {
  const [username, createdAt] = ['canary', Date.now()]
  const subdomains = new Set(['canary'])
  await system.stores.users.create({ username, patterns: subdomains, maxSubdomains: 1, maxTunnels: 2, createdAt })
  const made = newToken('user', randomBytes)
  const rights = { scopes: new Set(['tunnel']), subdomains }
  const kept = { tokenId: 'canary-token', username, label: 'canary', createdAt, expiresAt: createdAt + DAY_MS }
  await system.stores.tokens.create({ ...kept, ...rights, tokenHash: tokenHash(made) })
  system.canaries.add('the token of the canary', made.reveal())
  return made.reveal()
}

/** The system's own resolver answers later too. */
const loopback: LookupFunction = (_name, { all }, found) =>
  setImmediate(() => (all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4)))
const nobody: LookupFunction = (name, _options, found) =>
  setImmediate(() => found(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '', 4))

/** A visitor of the tunnel's URL, which has no port, at this port. */
const visitorAt =
  (port: () => number, lookup = loopback): typeof visit =>
  (url, call) =>
    visit(Object.assign(new URL(url), { port: String(port()) }), { ...call, lookup })

const call = (changes: Partial<KnockCall> = {}): KnockCall => ({
  server: system.server,
  token: async () => token,
  subdomain: 'canary',
  nonce: randomBytes(16).toString('hex'),
  visit: visitorAt(() => system.publicPort),
  now: () => performance.now(),
  signal: AbortSignal.timeout(DEADLINE_MS),
  ...changes,
})

describe('a knock', () => {
  test('is answered by the local server of the same process, by way of the whole service', async () => {
    const answered = await knock(call())
    expect(answered).toEqual({ answered: true, ms: expect.any(Number), openMs: expect.any(Number) })
    expect(documentOf(answered, 1000)).toMatchObject({
      _aws: {
        Timestamp: 1000,
        CloudWatchMetrics: expect.arrayContaining([expect.objectContaining({ Namespace: 'Postern' })]),
      },
      Service: 'canary',
      CanaryAnswered: 1,
      CanaryTime: expect.any(Number),
    })
  })

  test('follows another at once, and no tunnel of theirs is left in the list', async () => {
    for (let n = 0; n < 3; n++) expect(await knock(call())).toMatchObject({ answered: true })
    await expect.poll(async () => (await system.stores.tunnels.list({ limit: 10 })).items).toEqual([])
  })

  test('with a token that nobody knows ends at the ticket, with the code of the control plane', async () => {
    const unknown = `${token.slice(0, -4)}${token.endsWith('0000') ? '1111' : '0000'}`
    const failed = await knock(call({ token: async () => unknown }))
    expect(failed).toMatchObject({ answered: false, step: 'open' })
    const { fault } = failed as Extract<typeof failed, { answered: false }>
    expect(['token-unknown', 'token-malformed']).toContain(fault.code)
  })

  test('at a service that nobody serves ends at the ticket', async () => {
    const failed = await knock(call({ server: 'http://127.0.0.1:1' }))
    expect(failed).toMatchObject({ answered: false, step: 'open', fault: { code: 'server-unreachable' } })
    const document = documentOf(failed, 0)
    expect(document).toMatchObject({ CanaryAnswered: 0, step: 'open', code: 'server-unreachable' })
    expect(document).not.toHaveProperty('CanaryTime')
    expect(JSON.stringify(document)).not.toContain(token)
  })

  test('whose name has no address ends at the resolver', async () => {
    const failed = await knock(call({ visit: visitorAt(() => system.publicPort, nobody) }))
    expect(failed).toMatchObject({ answered: false, step: 'resolve', fault: { code: 'server-unreachable' } })
  })

  test('at a balancer without a listener ends at the connection', async () => {
    const failed = await knock(call({ visit: visitorAt(() => 1) }))
    expect(failed).toMatchObject({ answered: false, step: 'connect', fault: { code: 'server-unreachable' } })
  })

  test('that the service answers by itself has the code of its answer', async () => {
    const elsewhere: typeof visit = (url, visitCall) =>
      visitorAt(() => system.publicPort)(
        Object.assign(new URL(url), { hostname: 'nobody-has-this.localhost' }),
        visitCall,
      )
    const failed = await knock(call({ visit: elsewhere }))
    expect(failed).toMatchObject({ answered: false, step: 'body', fault: { code: 'tunnel-not-found' } })
  })

  test('whose answer is not the text of its own local server is not answered', async () => {
    const another: typeof visit = async (url, visitCall) => ({
      ...(await visitorAt(() => system.publicPort)(url, visitCall)),
      body: 'a page of somebody else',
    })
    const failed = await knock(call({ visit: another }))
    expect(failed).toMatchObject({ answered: false, step: 'body', fault: { code: 'server-unreachable' } })
  })

  test('that takes too long ends at the step that did not end', async () => {
    const late = new AbortController()
    const silent = createTcpServer((visitor) => {
      visitor.on('error', () => undefined)
      visitor.once('data', () => late.abort())
    })
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const failed = await knock(call({ visit: visitorAt(() => port), signal: late.signal }))
    silent.close()
    await once(silent, 'close')
    expect(failed).toMatchObject({ answered: false, step: 'answer', fault: { code: 'origin-timeout' } })
  })
})

describe('over TLS', () => {
  const certificate = selfSigned('localhost')!
  let balancer: Server
  const open = new Set<Socket>()

  beforeAll(async () => {
    balancer = createServer(certificate, (visitor) => {
      const task = dial(system.publicPort, '127.0.0.1')
      for (const [from, to] of [
        [visitor, task],
        [task, visitor],
      ] as const) {
        open.add(from)
        from.on('error', () => to.destroy())
        from.on('close', () => open.delete(from))
        from.pipe(to)
      }
    })
    balancer.listen(0, '127.0.0.1')
    await once(balancer, 'listening')
  })
  afterAll(async () => {
    for (const socket of open) socket.destroy()
    balancer.close()
    await once(balancer, 'close')
  })

  const secure = (): typeof visit => (url, visitCall) =>
    visitorAt(() => (balancer.address() as AddressInfo).port)(new URL(url.href.replace('http:', 'https:')), visitCall)

  test('a certificate that nobody vouches for ends the knock at TLS', async () => {
    const failed = await knock(call({ visit: secure() }))
    expect(failed).toMatchObject({ answered: false, step: 'tls', fault: { code: 'server-unreachable' } })
    expect((failed as Extract<typeof failed, { answered: false }>).fault.message).toContain('certificate')
  })
})
