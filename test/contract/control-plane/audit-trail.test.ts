import { problemSchema } from '@postern/protocol/api'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Deployment, deploy, grant, START } from './deployment.ts'

let deployment: Deployment
let user: string
let admin: string
beforeAll(async () => {
  deployment = await deploy()
  user = await grant(deployment.stores, 'ann', { tokenId: 'ANNS' })
  admin = await grant(deployment.stores, 'root', { tokenId: 'ROOTS', scopes: new Set(['admin']) })
})
afterAll(() => deployment.stop())

let day = 0
beforeEach(() => {
  day += 1
  deployment.at.now = START + day * 86_400_000
  deployment.caller.ip = '192.0.2.7'
  deployment.logged.length = 0
})

const ask = (method: string, path: string, bearer: string | undefined, body?: object | string) =>
  deployment.app.request(path, {
    method,
    headers: {
      ...(bearer && { authorization: `Bearer ${bearer}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
const rows = async () => {
  const today = new Date(deployment.at.now).toISOString().slice(0, 10)
  return (await deployment.stores.audit.list(today, { limit: 100 })).items
}

test('what was done leaves one row, with who did it to what, from where and when', async () => {
  expect((await ask('PUT', '/v1/subdomains/demo', user)).status).toBe(200)
  expect(await rows()).toEqual([
    {
      ...{ at: deployment.at.now, actor: 'ann', tokenId: 'ANNS', ip: '192.0.2.7' },
      ...{ action: 'reserveSubdomain', target: 'demo', result: 'done' },
    },
  ])
})

test('what was made is named by its handler', async () => {
  expect((await ask('POST', '/v1/users', admin, { username: 'new' })).status).toBe(201)
  expect(await rows()).toMatchObject([{ actor: 'root', action: 'createUser', target: 'new', result: 'done' }])
})

test.each([
  ['a missing scope', 403, () => ask('DELETE', '/v1/users/root', user), 'deleteUser', 'root', 'scope-missing'],
  [
    'a thing that is not there',
    404,
    () => ask('DELETE', '/v1/users/nobody', admin),
    'deleteUser',
    'nobody',
    'not-found',
  ],
  ['a conflict', 409, () => ask('POST', '/v1/users', admin, { username: 'ann' }), 'createUser', 'ann', 'user-taken'],
])(
  'a change that is refused for %s leaves one row with the code',
  async (_, status, refused, action, target, result) => {
    expect((await refused()).status).toBe(status)
    expect(await rows()).toMatchObject([{ action, target, result }])
  },
)

test.each([
  ['a call that only reads', 200, () => ask('GET', '/v1/users', admin)],
  ['a call of nobody', 401, () => ask('DELETE', '/v1/users/ann', undefined)],
  ['a call that cannot be read', 400, () => ask('POST', '/v1/users', admin, '{')],
  ['a ticket', 200, () => ask('POST', '/v1/tickets', user, { username: 'ann', subdomain: 'demo' })],
  ['a ticket that is refused', 403, () => ask('POST', '/', user, { username: 'bob', subdomain: 'demo' })],
])('%s leaves none', async (_, status, call) => {
  expect((await call()).status).toBe(status)
  expect(await rows()).toEqual([])
})

test('a token in the path is masked', async () => {
  expect((await ask('DELETE', `/v1/users/${user}`, admin)).status).toBe(404)
  expect(await rows()).toMatchObject([{ target: 'pst_[secret]' }])
})

test('where the row cannot be written, the change stands and the log has it', async () => {
  const { audit } = deployment.stores
  const { add } = audit
  audit.add = () => Promise.reject(new Error('down'))
  try {
    expect((await ask('PUT', '/v1/subdomains/kept', user)).status).toBe(200)
    const refused = await ask('DELETE', '/v1/users/nobody', admin)
    expect(problemSchema.parse(await refused.json()).code).toBe('not-found')
  } finally {
    audit.add = add
  }
  const kept = { level: 'error', message: 'not in the audit', error: 'Error: down', ip: '192.0.2.7' }
  expect(deployment.logged.filter(({ message }) => message !== 'request')).toMatchObject([
    { ...kept, actor: 'ann', action: 'reserveSubdomain', target: 'kept', result: 'done' },
    { ...kept, actor: 'root', action: 'deleteUser', target: 'nobody', result: 'not-found' },
  ])
})
