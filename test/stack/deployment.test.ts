/** From an empty account to a deployment that serves, changes and goes, in the order in which a person does it. */
import { once } from 'node:events'
import { copyFile, mkdir } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { ENV } from '@postern/protocol/environment'
import { createDynamoClient, openStore, readSecret } from '@postern/protocol/store'
import { channelTicketSchema } from '@postern/protocol/ticket'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test } from 'vitest'
import { TestProcess } from '../support/test-process.ts'
import { type Listener, startListener } from './balancer.ts'
import { installPackedAgent } from './packed-agent.ts'
import { Report } from './report.ts'
import { type Answer, ask } from './request.ts'
import { CONTROL, DATA, STATE, Stand } from './stand.ts'
import { taskEnvironment } from './task-environment.ts'

const CONTAINER = 'data-plane'
const WARM_CALLS = 40
/** What is promised of a revocation. */
const CUT_WITHIN_MS = 5000

const report = new Report()
const env = process.env as Record<string, string>
let stand: Stand
let agentScript: string
let visitors: Listener
let channels: Listener
let laterChannels: Listener
let originPort: number

let tableName: string
let base: string
/** As `--server`. */
let server: string
let adminToken: string
let userToken: { id: string; token: string }
let tunnel: { agent: TestProcess; host: string }

beforeAll(async () => {
  const { title, seconds } = inject('emulator')
  report.fact('emulator', title)
  report.seconds('emulator found, or installed and started', seconds)
  stand = await Stand.start(env)
  ;[visitors, channels, laterChannels] = await Promise.all([startListener(), startListener(), startListener()])
  for (const listener of [visitors, channels, laterChannels]) stand.undo(() => listener.stop())

  const origin = http.createServer((request, response) => response.end(`${request.method} ${request.url} came through`))
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  stand.undo(() => {
    origin.closeAllConnections()
    origin.close()
  })
  originPort = (origin.address() as AddressInfo).port

  const elsewhere = join(stand.folder, 'elsewhere')
  await mkdir(elsewhere)
  ;[agentScript] = await Promise.all([
    report.timed('npm pack and npm install of the agent', () => installPackedAgent(elsewhere, env)),
    report.timed('cdk synth, beside it', () => stand.cdk.synth({ channelPort: String(channels.port) })),
  ])
})

afterAll(async () => {
  await stand?.stop()
  console.log(report.text())
})

let failed = false
beforeEach((context) => {
  context.skip(failed, 'an earlier step failed')
  onTestFailed(() => {
    failed = true
  })
})

const call = (method: string, path: string, token: string, body?: unknown): Promise<Answer> =>
  stand.call(server, method, path, token, body)

const visit = (host: string, path: string): Promise<Answer> => ask({ port: visitors.port, host, path })

const startAgent = (subdomain: string): TestProcess =>
  stand.run(
    `agent ${subdomain}`,
    [agentScript, 'http', String(originPort), '--server', server, '--subdomain', subdomain],
    { TUNNEL_AGENT_TOKEN: userToken.token },
  )

/** The physical ids of both stacks by logical ids. */
async function physicalIds(): Promise<Record<string, string | undefined>> {
  const resources = await Promise.all([STATE, CONTROL].map((stack) => stand.stacks.resources(stack)))
  return Object.fromEntries(
    resources.flat().map(({ LogicalResourceId: id, PhysicalResourceId }) => [id, PhysicalResourceId]),
  )
}

/** The resources that a stack has wherever it is deployed: the CDK's own count of its users is in some regions only. */
const deployable = async (stack: string) =>
  Object.entries(await stand.cdk.template(stack)).filter(([, { Type }]) => Type !== 'AWS::CDK::Metadata')

test('plain cdk bootstrap and cdk deploy put state and control plane into an empty account', async () => {
  for (const stack of [STATE, CONTROL]) stand.undo(() => stand.stacks.remove(stack))
  await report.timed('cdk bootstrap', () => stand.cdk.bootstrap())
  await report.timed('cdk deploy of state and control plane', () => stand.cdk.deploy(STATE, CONTROL))
  const counts: string[] = []
  for (const stack of [STATE, CONTROL]) {
    const deployed = await stand.stacks.resources(stack)
    const synthesised = (await deployable(stack)).map(([id]) => id)
    expect(deployed.map(({ LogicalResourceId: id }) => id).sort()).toEqual(synthesised.sort())
    expect(new Set(deployed.map(({ ResourceStatus }) => ResourceStatus))).toEqual(new Set(['CREATE_COMPLETE']))
    counts.push(`${deployed.length} in ${stack}`)
  }
  report.fact('resources deployed', counts.join(', '))
  tableName = await stand.stacks.output(STATE, 'TableName')
  stand.undo(() => stand.removeTable(tableName))
  base = await stand.stacks.output(STATE, 'Base')
  stand.names.push(base)
  server = stand.executeApi(await stand.stacks.output(CONTROL, 'ControlUrl'))
  report.fact('the API', `${server} before a Lambda`)
})

test('the first administrator is made with AWS credentials alone, and only once', async () => {
  const first = await report.timed('tunnel-admin bootstrap', () =>
    stand.tunnelAdmin(['bootstrap', '--table', tableName]),
  )
  expect(first).toMatchObject({ code: 0 })
  adminToken = first.stdout.trim()
  expect(adminToken).toMatch(/^pst_a[0-9A-Za-z]{36}$/)
  const second = await stand.tunnelAdmin(['bootstrap', '--table', tableName])
  expect([second.code === 0, second.stdout]).toEqual([false, ''])
  expect(second.output).toContain('already-bootstrapped')
})

test('the deployed Lambda answers a ticket call with the address that it saw', async () => {
  const ticket = { username: 'admin', subdomain: 'measured' }
  const cold = await call('POST', '/v1/tickets', adminToken, ticket)
  expect([cold.status, cold.body]).toEqual([200, expect.any(String)])
  const { port, host, url, seenIp } = channelTicketSchema.parse(JSON.parse(cold.body))
  expect({ port, host, url, seenIp }).toEqual({
    port: channels.port,
    host: base,
    url: `http://measured.${base}`,
    seenIp: '127.0.0.1',
  })
  const times: number[] = []
  for (let n = 0; n < WARM_CALLS; n++) {
    const warm = await call('POST', '/v1/tickets', adminToken, ticket)
    expect(warm.status).toBe(200)
    times.push(warm.ms)
  }
  times.sort((a, b) => a - b)
  const quantile = (q: number): string => times[Math.floor(q * (WARM_CALLS - 1))]!.toFixed(1)
  report.fact('ticket call, cold', `${cold.ms.toFixed(0)} ms`)
  report.fact('ticket call, warm', `p50 ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms of ${WARM_CALLS}`)
})

test('an administrator makes an account and a token for it from a terminal', async () => {
  const as = { TUNNEL_ADMIN_TOKEN: adminToken, TUNNEL_ADMIN_SERVER: server }
  await report.timed('tunnel-admin user create, token create', async () => {
    expect(await stand.tunnelAdmin(['user', 'create', 'somebody'], as)).toMatchObject({ code: 0 })
    const made = await stand.tunnelAdmin(['token', 'create', '--user', 'somebody', '--json'], as)
    expect(made).toMatchObject({ code: 0 })
    userToken = JSON.parse(made.stdout)
  })
  const me = await call('GET', '/v1/me', userToken.token)
  expect([me.status, JSON.parse(me.body)]).toEqual([200, expect.objectContaining({ username: 'somebody' })])
})

test('the file of the image runs with the environment of the task definition', async () => {
  const { variables, secrets } = taskEnvironment(await stand.cdk.template(DATA), CONTAINER, {
    region: env.AWS_REGION!,
    account: env.AWS_ACCESS_KEY_ID!,
    exports: await stand.stacks.exports(),
  })
  expect(variables).toMatchObject({ [ENV.table]: tableName, [ENV.base]: base, [ENV.proxyProtocol]: 'required' })
  const secretTexts = await Promise.all(
    Object.entries(secrets).map(async ([name, arn]) => [name, await readSecret(arn)] as const),
  )
  // As the Dockerfile copies it: beside no package.json.
  const script = join(stand.folder, 'main.mjs')
  await copyFile(join(await stand.cdk.imageFolder(DATA), 'dist', 'main.js'), script)
  const process = new TestProcess({
    name: 'data plane',
    args: [script],
    env: {
      ...env,
      ...variables,
      ...Object.fromEntries(secretTexts),
      // A task has its machine for itself; this process has neighbours.
      [ENV.publicHosts]: '127.0.0.1',
      [ENV.publicPort]: '0',
      [ENV.channelPort]: '0',
      [ENV.peerPort]: '0',
      [ENV.opsPort]: '0',
    },
  })
  stand.undo(() => process.stop())
  const ports = await report.timed('data plane started', async () => JSON.parse(await process.firstLine()))
  expect(await ask({ port: ports.ops.port, host: 'task', path: '/readyz' })).toMatchObject({ status: 200 })
  visitors.forwardTo(ports.public.port)
  channels.forwardTo(ports.channel.port)
  laterChannels.forwardTo(ports.channel.port)
})

test("the packed agent opens a tunnel, and a visitor's request goes through", async () => {
  const agent = startAgent('demo')
  const url = await report.timed('agent started, tunnel open', () => agent.firstLine())
  expect(url).toBe(`http://demo.${base}`)
  tunnel = { agent, host: new URL(url).host }
  const answer = await visit(tunnel.host, '/hello?x=1')
  expect(answer).toMatchObject({ status: 200, body: 'GET /hello?x=1 came through' })
  report.fact('request', `GET ${url}/hello?x=1 → ${answer.status} "${answer.body}" in ${answer.ms.toFixed(1)} ms`)
  const listed = await call('GET', '/v1/tunnels', userToken.token)
  expect(JSON.parse(listed.body)).toMatchObject({ items: [{ subdomain: 'demo', username: 'somebody' }] })
})

test('a second cdk deploy with another channel port changes the Lambda in place and cuts nobody', async () => {
  const before = await physicalIds()
  await report.timed('cdk synth with a change', () => stand.cdk.synth({ channelPort: String(laterChannels.port) }))
  await report.timed('cdk deploy of the change', () => stand.cdk.deploy(STATE, CONTROL))
  expect(await physicalIds()).toEqual(before)
  const fresh = await call('POST', '/v1/tickets', adminToken, { username: 'admin', subdomain: 'measured' })
  expect(channelTicketSchema.parse(JSON.parse(fresh.body)).port).toBe(laterChannels.port)
  report.fact('first ticket call after it', `${fresh.ms.toFixed(0)} ms`)
  expect(await visit(tunnel.host, '/still')).toMatchObject({ status: 200, body: 'GET /still came through' })

  const later = startAgent('later')
  const { host } = new URL(await later.firstLine())
  expect(await visit(host, '/new')).toMatchObject({ status: 200, body: 'GET /new came through' })
  await later.stop()
})

test('a revoked token ends its tunnel within five seconds, for good', async () => {
  const revoked = await call('DELETE', `/v1/tokens/${userToken.id}`, adminToken)
  expect(revoked.status).toBe(204)
  const answered = performance.now()
  expect(await tunnel.agent.exited).toEqual({ code: 3, signal: null })
  const seconds = (performance.now() - answered) / 1000
  expect(tunnel.agent.stderr).toContain('(revoked)')
  expect(seconds * 1000).toBeLessThan(CUT_WITHIN_MS)
  report.fact('revocation', `the agent had ended ${seconds.toFixed(1)} s after the API's answer`)
  expect((await visit(tunnel.host, '/')).headers['tunnel-error']).toBe('tunnel-offline')
  const refused = await call('POST', '/v1/tickets', userToken.token, { username: 'somebody', subdomain: 'demo' })
  expect([refused.status, JSON.parse(refused.body).code]).toEqual([401, 'token-revoked'])
})

test('cdk destroy is refused for the state while it is protected, and then leaves what is retained, and its items', async () => {
  const ids = new Map([
    [CONTROL, await stand.stacks.id(CONTROL)],
    [STATE, await stand.stacks.id(STATE)],
  ])
  await report.timed('cdk destroy, of the state twice', async () => {
    expect((await stand.cdk.destroy(CONTROL)).code).toBe(0)
    const refused = await stand.cdk.destroy(STATE)
    expect([refused.code === 0, refused.output]).toEqual([false, expect.stringMatching(/TerminationProtection/)])
    await stand.stacks.unprotect(STATE)
    expect((await stand.cdk.destroy(STATE)).code).toBe(0)
  })
  const left: string[] = []
  for (const [stack, id] of ids) {
    expect(await stand.stacks.exists(stack)).toBe(false)
    const resources = await deployable(stack)
    const retained = resources.filter(([, { DeletionPolicy }]) => DeletionPolicy === 'Retain')
    const deletions = await stand.stacks.deletions(id)
    expect(deletions.get('DELETE_SKIPPED') ?? new Set()).toEqual(new Set(retained.map(([logicalId]) => logicalId)))
    const others = resources.filter((resource) => !retained.includes(resource))
    expect(deletions.get('DELETE_COMPLETE')).toEqual(new Set(others.map(([logicalId]) => logicalId)))
    left.push(...retained.map(([logicalId, { Type }]) => `${Type} ${logicalId} of ${stack}`))
  }
  expect((await call('GET', '/healthz', adminToken)).status).toBe(404)
  const client = createDynamoClient()
  stand.undo(() => client.destroy())
  const users = openStore({ tableName, client }).users
  expect(await users.find('somebody')).toMatchObject({ username: 'somebody' })
  report.fact('left by cdk destroy', left.join(', '))
})
