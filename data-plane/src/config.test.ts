import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { ENV } from '@postern/protocol/environment'
import { afterEach, expect, test, vi } from 'vitest'
import { readConfig } from './config.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:postern-channel-AbCdEf'
const SECRET = JSON.stringify({ current: '00'.repeat(32), accepted: [] })

const settings = (changes: Record<string, string>): NodeJS.ProcessEnv => ({
  [ENV.table]: 'postern',
  [ENV.base]: 'example.com',
  [ENV.publicUrl]: 'https://{subdomain}.example.com',
  ...changes,
})

/** What Secrets Manager speaks (AWS JSON 1.1 over HTTP), on this machine: the SDK is led there by its own variable. */
async function secretsManager(answer: (body: unknown) => { status: number; body: object }) {
  const asked: { headers: IncomingHttpHeaders; body: unknown }[] = []
  const server = createServer(async (request, response) => {
    const body: unknown = JSON.parse(await text(request))
    asked.push({ headers: request.headers, body })
    const said = answer(body)
    response.writeHead(said.status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(said.body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  const { port } = server.address() as AddressInfo
  vi.stubEnv('AWS_ENDPOINT_URL_SECRETS_MANAGER', `http://127.0.0.1:${port}`)
  vi.stubEnv('AWS_REGION', 'eu-central-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'id')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
  return asked
}

test.each([
  ['10.0.0.0/8', ['10.1.2.3', '::ffff:10.1.2.3']],
  ['127.0.0.0/8, ::1,fd00::/8', ['127.0.0.1', '::1', 'fd00::7']],
])('trusted proxies %s are networks', async (list, held) => {
  const { trustedProxies } = await readConfig(settings({ [ENV.channelSecret]: SECRET, [ENV.trustedProxies]: list }))
  expect(held.map((address) => trustedProxies?.holds(address))).toEqual(held.map(() => true))
  expect(trustedProxies?.holds('203.0.113.7')).toBe(false)
})

test.each(['10.0.0.1/8', 'nginx', '10.0.0.0/8,', '0.0.0.0/0', '::/0', '10.0.0.0/8 fd00::/8'])(
  'trusted proxies cannot be %j',
  async (list) => {
    const reading = readConfig(settings({ [ENV.channelSecret]: SECRET, [ENV.trustedProxies]: list }))
    await expect(reading).rejects.toMatchObject({
      code: 'config-invalid',
      detail: expect.stringContaining('POSTERN_TRUSTED_PROXIES'),
    })
  },
)

test.each([
  [{}, new Set()],
  [{ [ENV.publicUrl]: 'http://{subdomain}.example.com' }, 'all'],
  [{ [ENV.nestedNames]: '*' }, 'all'],
  [{ [ENV.nestedNames]: 'demo, shop' }, new Set(['demo', 'shop'])],
])('with %j hosts below these names are served: %s', async (changes, covered) => {
  const config = await readConfig(settings({ [ENV.channelSecret]: SECRET, ...changes }))
  expect(config.nestedNames).toEqual(covered)
})

test.each(['*.demo', 'Demo', 'demo;shop', 'www'])('names with hosts below them cannot be %j', async (list) => {
  const reading = readConfig(settings({ [ENV.channelSecret]: SECRET, [ENV.nestedNames]: list }))
  await expect(reading).rejects.toMatchObject({ code: 'config-invalid' })
})

test('the port of agents may be bound at an address of its own', async () => {
  const at = async (changes: Record<string, string>) =>
    (await readConfig(settings({ [ENV.channelSecret]: SECRET, ...changes }))).channelAddress
  expect([await at({}), await at({ [ENV.channelAddress]: '::' })]).toEqual([undefined, '::'])
  await expect(at({ [ENV.channelAddress]: 'localhost' })).rejects.toMatchObject({ code: 'config-invalid' })
})

test('without trusted proxies nobody is one', async () => {
  for (const changes of [{}, { [ENV.trustedProxies]: '' }])
    expect((await readConfig(settings({ [ENV.channelSecret]: SECRET, ...changes }))).trustedProxies).toBeUndefined()
})

test('the channel secret is read from Secrets Manager where it is given by its ARN', async () => {
  const asked = await secretsManager(() => ({
    status: 200,
    body: { ARN, Name: 'postern-channel', SecretString: SECRET },
  }))
  const config = await readConfig(settings({ [ENV.channelSecretArn]: ARN }))
  expect(config.channelSecret).toBe(SECRET)
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatchObject({
    headers: { 'x-amz-target': 'secretsmanager.GetSecretValue', 'content-type': 'application/x-amz-json-1.1' },
    body: { SecretId: ARN },
  })
})

test('a secret that is not there is named', async () => {
  await secretsManager(() => ({
    status: 400,
    body: { __type: 'ResourceNotFoundException', Message: 'Secrets Manager can’t find the specified secret.' },
  }))
  await expect(readConfig(settings({ [ENV.channelSecretArn]: ARN }))).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining(ARN),
  })
})

test('the secret may stand in the environment or in a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-config-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  const file = join(folder, 'secret.json')
  await writeFile(file, SECRET)
  expect((await readConfig(settings({ [ENV.channelSecret]: SECRET }))).channelSecret).toBe(SECRET)
  expect((await readConfig(settings({ [ENV.channelSecretFile]: file }))).channelSecret).toBe(SECRET)
  await expect(readConfig(settings({ [ENV.channelSecretFile]: `${file}.not` }))).rejects.toMatchObject({
    code: 'config-invalid',
  })
})

test.each([
  {},
  { [ENV.channelSecret]: SECRET, [ENV.channelSecretFile]: '/secret' },
  { [ENV.channelSecret]: SECRET, [ENV.channelSecretArn]: ARN },
  { [ENV.channelSecretFile]: '/secret', [ENV.channelSecretArn]: ARN },
])('exactly one source of the secret is taken, and the secret is in no message: %o', async (sources) => {
  const fault = await readConfig(settings(sources)).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: 'config-invalid', message: expect.stringContaining('exactly one') })
  expect(String(fault)).not.toContain(SECRET)
})

test('a task reports metrics and redirects visitors only if it is told to', async () => {
  const secret = { [ENV.channelSecret]: SECRET }
  expect(await readConfig(settings(secret))).toMatchObject({ metrics: 'off', redirectPort: undefined })
  const told = await readConfig(settings({ ...secret, [ENV.metrics]: 'emf', [ENV.redirectPort]: '8081' }))
  expect(told).toMatchObject({ metrics: 'emf', redirectPort: 8081 })
})

test.each([
  ['to https where there is none', { [ENV.redirectPort]: '8081', [ENV.publicUrl]: 'http://{subdomain}.example.com' }],
  ['to a port that is none', { [ENV.redirectPort]: 'x' }],
  ['metrics of another form', { [ENV.metrics]: 'statsd' }],
  ['a public URL that is none', { [ENV.publicUrl]: '{subdomain}.example.com' }],
])('%s is refused by the name of the variable', async (_what, changes) => {
  const [variable] = Object.keys(changes)
  await expect(readConfig(settings({ [ENV.channelSecret]: SECRET, ...changes }))).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining(variable!),
  })
})
