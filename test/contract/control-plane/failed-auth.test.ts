import { randomBytes } from 'node:crypto'
import { problemSchema } from '@postern/protocol/api'
import { FAILED_AUTHS_PER_MINUTE } from '@postern/protocol/limits'
import { newToken, Secret, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Deployment, deploy, grant, START } from './deployment.ts'

let deployment: Deployment
let good: string
beforeAll(async () => {
  deployment = await deploy()
  good = await grant(deployment.stores, 'ann')
})
afterAll(() => deployment.stop())

let minute = 0
beforeEach(() => {
  // A test may reach into the minute after its own.
  minute += 2
  deployment.at.now = START + minute * 60_000 + 15_000
  deployment.caller.ip = '192.0.2.1'
  deployment.logged.length = 0
})

const ask = async (authorization?: string, path = '/v1/me') => {
  const response = await deployment.app.request(path, { headers: authorization ? { authorization } : {} })
  const { code } = response.ok ? { code: undefined } : problemSchema.parse(await response.json())
  return { status: response.status, code, headers: response.headers }
}
const unknown = () => `Bearer ${newToken('user', randomBytes).reveal()}`
const fail = async (times: number) => {
  for (let n = 0; n < times; n += 1) expect((await ask(unknown())).status).toBe(401)
}

test('ten failures a minute are told what is wrong, the eleventh to wait until the minute is over', async () => {
  await fail(FAILED_AUTHS_PER_MINUTE)
  const refused = await ask(unknown())
  expect([refused.status, refused.code]).toEqual([429, 'too-many-failures'])
  expect(refused.headers.get('retry-after')).toBe('45')
  expect(refused.headers.get('www-authenticate')).toBeNull()
  expect(deployment.logged.at(-1)).toMatchObject({ level: 'info', status: 429, code: 'too-many-failures' })

  deployment.at.now += 44_999
  expect((await ask(unknown())).headers.get('retry-after')).toBe('1')
  deployment.at.now += 1
  expect((await ask(unknown())).status).toBe(401)
})

test('a good token passes all the while, and another address is not concerned', async () => {
  await fail(FAILED_AUTHS_PER_MINUTE)
  expect((await ask(unknown())).status).toBe(429)
  expect((await ask(`Bearer ${good}`)).status).toBe(200)
  deployment.caller.ip = '192.0.2.2'
  expect((await ask(unknown())).status).toBe(401)
})

test('good calls do not count, nor do calls that need no token', async () => {
  for (let n = 0; n <= FAILED_AUTHS_PER_MINUTE; n += 1) {
    expect((await ask(`Bearer ${good}`)).status).toBe(200)
    expect((await ask(undefined, '/healthz')).status).toBe(200)
    expect((await ask(undefined, '/nothing')).status).toBe(404)
  }
  expect((await ask(unknown())).status).toBe(401)
})

test('every way a token can be wrong counts, a disabled account does not', async () => {
  const revoked = await grant(deployment.stores, 'ann')
  await deployment.stores.tokens.revoke({ tokenHash: tokenHash(new Secret(revoked)), now: START, newId: () => 'r' })
  const expired = await grant(deployment.stores, 'ann', { expiresAt: START })
  const disabled = await grant(deployment.stores, 'dan')
  await deployment.stores.users.update('dan', { disabled: true })
  const ways = [undefined, 'Basic x', 'Bearer pst_x', unknown(), `Bearer ${revoked}`, `Bearer ${expired}`]
  for (const way of [...ways, ...ways.slice(0, FAILED_AUTHS_PER_MINUTE - ways.length)]) {
    expect((await ask(`Bearer ${disabled}`)).status).toBe(403)
    expect((await ask(way)).status).toBe(401)
  }
  for (const way of ways) expect((await ask(way)).status).toBe(429)
})

test('the addresses of one IPv6 network count together', async () => {
  for (let n = 1; n <= FAILED_AUTHS_PER_MINUTE; n += 1) {
    deployment.caller.ip = `2001:db8::${n}`
    await fail(1)
  }
  deployment.caller.ip = '2001:db8:0:0:ffff::1'
  expect((await ask(unknown())).status).toBe(429)
})

test('another process of the control plane goes on counting where this one is', async () => {
  await fail(FAILED_AUTHS_PER_MINUTE)
  const { failedAuth } = deployment.stores
  expect(await failedAuth.count({ address: '192.0.2.1', now: deployment.at.now })).toBe(FAILED_AUTHS_PER_MINUTE + 1)
})

test('an address that is over costs the table nothing more in that minute', async () => {
  await fail(FAILED_AUTHS_PER_MINUTE)
  await ask(unknown())
  const { failedAuth } = deployment.stores
  const { count } = failedAuth
  let counted = 0
  failedAuth.count = (call) => {
    counted += 1
    return count(call)
  }
  try {
    expect((await ask('Bearer x')).status).toBe(429)
    expect(counted).toBe(0)
    deployment.at.now += 60_000
    expect((await ask('Bearer x')).status).toBe(401)
    expect(counted).toBe(1)
  } finally {
    failedAuth.count = count
  }
})

test('a failure that cannot be counted is answered as what it is', async () => {
  const { failedAuth } = deployment.stores
  const { count } = failedAuth
  failedAuth.count = () => Promise.reject(new Error('down'))
  try {
    for (let n = 0; n <= FAILED_AUTHS_PER_MINUTE; n += 1) expect((await ask('Bearer x')).code).toBe('token-malformed')
  } finally {
    failedAuth.count = count
  }
  expect(deployment.logged[0]).toMatchObject({ level: 'warn', error: 'Error: down' })
})
