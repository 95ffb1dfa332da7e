import { randomBytes } from 'node:crypto'
import { accountSchema, problemSchema } from '@postern/protocol/api'
import { FAULTS, type FaultCode } from '@postern/protocol/fault'
import { API_BODY_BYTES } from '@postern/protocol/limits'
import { newToken, Secret, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Deployment, deploy, grant, START } from './deployment.ts'

let deployment: Deployment
let token: string
beforeAll(async () => {
  deployment = await deploy()
  token = await grant(deployment.stores, 'ann')
})
afterAll(() => deployment.stop())
let callers = 0
beforeEach(() => {
  deployment.at.now = START
  // Failed authentications are limited by address: each test has its own.
  callers += 1
  deployment.caller.ip = `198.51.${callers >> 8}.${callers & 255}`
  deployment.logged.length = 0
})

const demo = { username: 'ann', subdomain: 'demo' }
interface Ask {
  method?: string
  path?: string
  bearer?: string | undefined
  authorization?: string
  type?: string | undefined
  encoding?: string
  body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
}
const ask = ({ method = 'POST', path = '/', body = JSON.stringify(demo), ...more }: Ask) => {
  const bearer = 'bearer' in more ? more.bearer : token
  const type = 'type' in more ? more.type : 'application/json'
  const authorization = more.authorization ?? (bearer === undefined ? undefined : `Bearer ${bearer}`)
  return deployment.app.request(path, {
    method,
    headers: {
      ...(type && { 'content-type': type }),
      ...(authorization && { authorization }),
      ...(more.encoding && { 'content-encoding': more.encoding }),
    },
    ...(method === 'POST' && { body, duplex: 'half' }),
  } as RequestInit)
}

async function expectProblem(response: Response, code: FaultCode): Promise<ReturnType<typeof problemSchema.parse>> {
  const text = await response.text()
  const problem = problemSchema.parse(JSON.parse(text))
  expect(problem).toMatchObject({
    code,
    title: FAULTS[code].title,
    advice: FAULTS[code].advice,
    status: response.status,
  })
  expect(response.status).toBe(FAULTS[code].status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('x-request-id')).toBe(problem.requestId)
  expect(text).not.toContain(token)
  expect(JSON.stringify(deployment.logged)).not.toContain(token)
  expect(deployment.logged).toMatchObject([
    { message: 'request', requestId: problem.requestId, status: response.status, code },
  ])
  return problem
}

describe('a ticket is refused', () => {
  const json = (body: unknown): Ask => ({ body: JSON.stringify(body) })
  /** A thousand times the limit: whoever reads it all gets another fault than the one that is wanted. */
  const endless = () => {
    let left = 1000
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        left -= 1
        if (left === 0) controller.close()
        else controller.enqueue(new Uint8Array(API_BODY_BYTES).fill(0x20))
      },
    })
  }

  const brokenOff = () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error('canary'))
      },
    })

  test.each<[string, FaultCode, () => Ask & { query?: string }, string?]>([
    ['without a token', 'token-missing', () => ({ bearer: undefined })],
    ['with another scheme', 'token-missing', () => ({ authorization: `Basic ${btoa('ann:secret')}` })],
    ['with two tokens', 'token-missing', () => ({ authorization: `Bearer ${token} ${token}` })],
    [
      'with a mistyped token',
      'token-malformed',
      () => ({ bearer: `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}` }),
    ],
    ['with a token nobody was given', 'token-unknown', () => ({ bearer: newToken('user', randomBytes).reveal() })],
    ['when the body is not declared as JSON', 'content-type-unsupported', () => ({ type: 'text/plain' })],
    [
      'when the body is not declared at all',
      'content-type-unsupported',
      () => ({ type: undefined, body: new Uint8Array([0x7b, 0x7d]) }),
    ],
    ['when the body is compressed', 'content-type-unsupported', () => ({ encoding: 'gzip' }), 'content-encoding'],
    [
      'when there is no body',
      'request-malformed',
      () => ({ type: undefined, body: new Uint8Array() }),
      'username: string expected',
    ],
    [
      'when the body is 16 KiB of brackets',
      'request-malformed',
      () => ({ body: '['.repeat(API_BODY_BYTES) }),
      'not JSON',
    ],
    [
      'when the body is nested as deeply as it can be',
      'request-malformed',
      () => ({ body: '['.repeat(API_BODY_BYTES / 2) + ']'.repeat(API_BODY_BYTES / 2) }),
      'object expected',
    ],
    [
      'when a field is nested as deeply as it can be',
      'request-malformed',
      () => ({ body: `{"username":${'['.repeat(8000)}${']'.repeat(8000)},"subdomain":"demo"}` }),
      'username: string expected',
    ],
    [
      'with a prototype as a field',
      'request-malformed',
      () => ({ body: '{"__proto__":{"username":"ann"},"username":"ann","subdomain":"demo"}' }),
      '__proto__: no such field',
    ],
    [
      'with the fields of a prototype alone',
      'request-malformed',
      () => ({ body: '{"__proto__":{"username":"ann","subdomain":"demo"}}' }),
      'username: string expected',
    ],
    [
      'with fields that every object has',
      'request-malformed',
      () => json({ ...demo, constructor: 1, toString: 1 }),
      'constructor: no such field, toString: no such field',
    ],
    ['when the body breaks off', 'request-malformed', () => ({ body: brokenOff() }), 'broke off'],
    ['with a parameter in the query', 'request-malformed', () => ({ query: '?x=1' }), 'In the query: x: no such field'],
    ['when the body is not JSON', 'request-malformed', () => ({ body: '{"username": ' }), 'not JSON'],
    ['when the body is empty', 'request-malformed', () => ({ body: '' }), 'not JSON'],
    ['when the body is not UTF-8', 'request-malformed', () => ({ body: new Uint8Array([0x22, 0xff, 0x22]) }), 'UTF-8'],
    ['when the body is a list', 'request-malformed', () => json([demo]), 'object expected'],
    ['when the body is null', 'request-malformed', () => json(null), 'object expected'],
    ['without a username', 'request-malformed', () => json({ subdomain: 'demo' }), 'username: string expected'],
    ['without a subdomain', 'request-malformed', () => json({ username: 'ann' }), 'subdomain: string expected'],
    [
      'when a field has another type',
      'request-malformed',
      () => json({ ...demo, ephemeral: 'yes' }),
      'ephemeral: boolean expected',
    ],
    ['with a field that is not known', 'request-malformed', () => json({ ...demo, port: 3000 }), 'port: no such field'],
    [
      'with a token as the name of a field',
      'request-malformed',
      () => json({ ...demo, [token]: 1 }),
      'a field that is not known',
    ],
    [
      'with two faults at once, naming both',
      'request-malformed',
      () => json({ username: 1, x: 1 }),
      'username: string expected; subdomain',
    ],
    [
      'with an overlong observation',
      'request-malformed',
      () => json({ ...demo, observation: 'x'.repeat(1025) }),
      'observation: at most 1024',
    ],
    [
      'when the body is a byte too long',
      'body-too-large',
      () => ({ body: JSON.stringify(demo).padEnd(API_BODY_BYTES + 1) }),
      String(API_BODY_BYTES),
    ],
    ['when a body of no declared length never ends', 'body-too-large', () => ({ body: endless() })],
    ['for another username', 'username-mismatch', () => json({ ...demo, username: 'bob' })],
    ['for a name that is too short', 'subdomain-invalid', () => json({ ...demo, subdomain: 'ab' }), '2 characters'],
    ['for a name in upper case', 'subdomain-invalid', () => json({ ...demo, subdomain: 'Demo' }), 'other than'],
    ['for a punycode name', 'subdomain-invalid', () => json({ ...demo, subdomain: 'xn--bcher-kva' }), 'punycode'],
    ['for a token typed as the name', 'subdomain-invalid', () => json({ ...demo, subdomain: token })],
    ['for a name of the service', 'subdomain-reserved', () => json({ ...demo, subdomain: 'www' })],
  ])('%s: %s', async (_, code, make, detail) => {
    for (const path of ['/', '/v1/tickets']) {
      deployment.logged.length = 0
      const { query = '', ...more } = make()
      const problem = await expectProblem(await ask({ path: path + query, ...more }), code)
      if (detail !== undefined) expect(problem.detail).toContain(detail)
    }
    expect(await deployment.stores.reservations.find('demo')).toBeUndefined()
  })

  test('at the millisecond its token expires, and not one before', async () => {
    const expiring = await grant(deployment.stores, 'ann', { expiresAt: START + 1000 })
    deployment.at.now = START + 999
    expect((await ask({ bearer: expiring, path: '/v1/me', method: 'GET' })).status).toBe(200)
    deployment.logged.length = 0
    deployment.at.now = START + 1000
    await expectProblem(await ask({ bearer: expiring }), 'token-expired')
  })

  test('once its token is revoked', async () => {
    const revoked = await grant(deployment.stores, 'ann')
    await deployment.stores.tokens.revoke({ tokenHash: tokenHash(new Secret(revoked)), now: START, newId: () => 'r' })
    await expectProblem(await ask({ bearer: revoked }), 'token-revoked')
  })

  test('while the account is disabled, and not after', async () => {
    const bob = await grant(deployment.stores, 'bob')
    const body = JSON.stringify({ username: 'bob', subdomain: 'bobs' })
    expect((await ask({ bearer: bob, body })).status).toBe(200)
    await deployment.stores.users.update('bob', { disabled: true })
    for (const call of [{ body }, { path: '/v1/me', method: 'GET' }]) {
      deployment.logged.length = 0
      await expectProblem(await ask({ bearer: bob, ...call }), 'user-disabled')
    }
    await deployment.stores.users.update('bob', { disabled: false })
    expect((await ask({ bearer: bob, body })).status).toBe(200)
  })

  test('for a token without the scope, which may still ask who it is', async () => {
    const admin = await grant(deployment.stores, 'root', { scopes: new Set(['admin']) })
    const body = JSON.stringify({ username: 'root', subdomain: 'roots' })
    expect((await expectProblem(await ask({ bearer: admin, body }), 'scope-missing')).detail).toContain('tunnel')
    expect((await ask({ bearer: admin, path: '/v1/me', method: 'GET' })).status).toBe(200)
  })

  test('for a name that fits no pattern of the token', async () => {
    const narrow = await grant(deployment.stores, 'ann', { subdomains: new Set(['nothing-else']) })
    await expectProblem(await ask({ bearer: narrow }), 'subdomain-not-allowed')
  })

  test('when whatever serves the app does not know where the caller is', async () => {
    deployment.caller.ip = undefined
    const problem = await expectProblem(await ask({}), 'internal-error')
    expect(problem.detail).toBeUndefined()
    expect(deployment.logged[0]?.error).toContain('address of the caller')
  })
})

test('a body of exactly the limit is read', async () => {
  const padded = JSON.stringify({ ...demo, subdomain: 'padded' }).padEnd(API_BODY_BYTES)
  expect((await ask({ body: padded })).status).toBe(200)
})

test.each([
  ['GET', '/', 'POST'],
  ['PUT', '/v1/tickets', 'POST'],
  ['POST', '/v1/me', 'GET, HEAD'],
  ['DELETE', '/healthz', 'GET, HEAD'],
  ['OPTIONS', '/v1/users', 'POST, GET, HEAD'],
  ['PUT', '/v1/users/ann', 'GET, HEAD, PATCH, DELETE'],
  ['GET', '/v1/tokens/x/rotate', 'POST'],
])('%s %s is not served, and the answer lists what is', async (method, path, allow) => {
  const response = await ask({ method, path })
  expect(response.headers.get('allow')).toBe(allow)
  await expectProblem(response, 'method-not-allowed')
})

test.each(['/nothing', '/v1', '//', '/V1/ME', '/v1/tickets/../me/x', '/v1/users/a/b'])(
  '%s is not found',
  async (path) => {
    await expectProblem(await ask({ path }), 'not-found')
  },
)

test.each(['%', '%zz', '%ff', 'ann%'])(
  'a parameter of the path that cannot be decoded, %s, is not found',
  async (id) => {
    await expectProblem(await ask({ method: 'DELETE', path: `/v1/tokens/${id}` }), 'not-found')
  },
)

describe('a query is refused', () => {
  test.each([
    ['?x=1', 'In the query: x: no such field.'],
    ['?limit=0', 'In the query: limit: a whole number from 1 to 100 expected.'],
    ['?limit=101', 'In the query: limit: at most 100 expected.'],
    ['?limit=1e1', 'In the query: limit: a whole number from 1 to 100 expected.'],
    ['?limit=', 'In the query: limit: a whole number from 1 to 100 expected.'],
    ['?limit=1&limit=2', 'A parameter of the query stands there more than once.'],
    ['?cursor=%20', 'In the query: cursor: the `next` of the page before expected.'],
    ['?username=-', 'In the query: username: a letter or digit, then letters, digits and . _ @ - expected.'],
    ['?__proto__=1', 'In the query: __proto__: no such field.'],
    [`?${'x'.repeat(40)}=1`, 'In the query: a field that is not known.'],
  ])('%s: %s', async (query, detail) => {
    const problem = await expectProblem(await ask({ method: 'GET', path: `/v1/tokens${query}` }), 'request-malformed')
    expect(problem.detail).toBe(detail)
  })
})

test('HEAD is GET without the body', async () => {
  const response = await ask({ method: 'HEAD', path: '/v1/me' })
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
    200,
    'application/json',
    '',
  ])
  expect((await ask({ method: 'HEAD', path: '/v1/me', bearer: undefined })).status).toBe(401)
  expect((await ask({ method: 'HEAD', path: '/v1/tickets' })).headers.get('allow')).toBe('POST')
})

test('what is declared to be too long is not read at all', async () => {
  let asked = 0
  const body = new ReadableStream(
    {
      pull() {
        asked += 1
      },
    },
    { highWaterMark: 0 },
  )
  const headers = {
    ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    'content-length': String(1024 * 1024),
  }
  const init = { method: 'POST', headers, body, duplex: 'half' }
  await expectProblem(await deployment.app.request('/v1/tickets', init as RequestInit), 'body-too-large')
  expect(asked).toBe(0)
})

test('what is too long is read no further than that', async () => {
  let sent = 0
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        sent += 1024
        controller.enqueue(new Uint8Array(1024).fill(0x20))
        if (sent === 1024 * 1024) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  await expectProblem(await ask({ body }), 'body-too-large')
  expect(sent).toBeLessThanOrEqual(API_BODY_BYTES + 2048)
})

test('an error that nobody foresaw says nothing, and the log where it was', async () => {
  const { users } = deployment.stores
  const { find } = users
  users.find = () => Promise.reject(new TypeError(`canary ${token}`))
  try {
    const response = await ask({ method: 'GET', path: '/v1/me' })
    const copy = response.clone()
    await expectProblem(response, 'internal-error')
    const text = await copy.text()
    expect(text).not.toMatch(/canary|TypeError|at .*\.ts/)
    expect(Object.keys(JSON.parse(text)).sort()).toEqual(['advice', 'code', 'requestId', 'status', 'title', 'type'])
  } finally {
    users.find = find
  }
  expect(deployment.logged[0]).toMatchObject({
    level: 'error',
    operation: 'getMe',
    error: 'TypeError: canary pst_[secret]',
    stack: expect.stringMatching(/refusals\.test\.ts/),
  })
})

test('a token in the path comes back in no answer and no log line', async () => {
  await expectProblem(await ask({ path: `/v1/${token}`, bearer: undefined }), 'not-found')
})

test('401 says how to authenticate, and tells a missing token from a bad one', async () => {
  expect((await ask({ bearer: undefined })).headers.get('www-authenticate')).toBe('Bearer')
  expect((await ask({ bearer: 'x' })).headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
})

test('/v1/me tells what the token may do', async () => {
  const bearer = await grant(deployment.stores, 'ann', { subdomains: new Set(['ann-*', 'demo']) })
  const response = await ask({ method: 'GET', path: '/v1/me', bearer })
  const account = accountSchema.parse(await response.json())
  expect({ ...account, subdomains: account.subdomains.toSorted() }).toEqual({
    username: 'ann',
    scopes: ['tunnel'],
    subdomains: ['ann-*', 'demo'],
    expiresAt: new Date(START + 90 * 86_400_000).toISOString(),
  })
})

test('the day of use is noted once a day', async () => {
  const bearer = await grant(deployment.stores, 'ann')
  const hash = tokenHash(new Secret(bearer))
  const me = () => ask({ method: 'GET', path: '/v1/me', bearer })
  await me()
  expect((await deployment.stores.tokens.find(hash))?.lastUsedDay).toBe('2027-01-15')
  deployment.at.now = START + 86_400_000
  await me()
  expect((await deployment.stores.tokens.find(hash))?.lastUsedDay).toBe('2027-01-16')
})

test('the scheme may be written in any case (RFC 9110 §11.1)', async () => {
  expect((await ask({ method: 'GET', path: '/v1/me', authorization: `bearer ${token}` })).status).toBe(200)
})

test('health is answered to anyone, without the table', async () => {
  const response = await ask({ method: 'GET', path: '/healthz', bearer: undefined })
  expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }])
})

test('a table out of reach is 503 with Retry-After, and health is still answered', async () => {
  const cut = await deploy()
  const bearer = await grant(cut.stores, 'ann')
  await cut.stop()
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
  const response = await cut.app.request('/', { method: 'POST', headers, body: JSON.stringify(demo) })
  expect([response.status, problemSchema.parse(await response.json()).code]).toEqual([503, 'store-unavailable'])
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await cut.app.request('/healthz')).status).toBe(200)
  expect(cut.logged.map(({ level }) => level)).toEqual(['error', 'info'])
  expect(JSON.stringify(cut.logged)).not.toContain(bearer)
})
