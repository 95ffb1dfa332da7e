/** From an empty account to a deployment that serves, changes and goes, in the order in which a person does it. */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { ENV } from '@postern/protocol/environment'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import { channelTicketSchema } from '@postern/protocol/ticket'
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFailed, test } from 'vitest'
import type { TestProcess } from '../support/test-process.ts'
import { type Listener, startListener } from './balancer.ts'
import { expectAlarms } from './deployed-alarms.ts'
import { type StartedTask, startDeployedTask } from './deployed-task.ts'
import { installPackedAgent } from './packed-agent.ts'
import { cdkLines, shellBlock } from './page-commands.ts'
import { Report } from './report.ts'
import { type Answer, ask } from './request.ts'
import { CONTROL, STACKS, STATE, Stand } from './stand.ts'

/** Docker would build one. ECS of the emulator starts no container. */
const IMAGE = '000000000000.dkr.ecr.eu-central-1.amazonaws.com/postern:test'
const [BOOTSTRAP, DEPLOY] = cdkLines(shellBlock('README.md', 'Without a domain,')) as [string, string]
const [DESTROY] = cdkLines(shellBlock('README.md', 'Upgrades, keys, recovery and removal:')) as [string]
const [DESTROY_STATE] = cdkLines(shellBlock('docs/operations.md', 'names. To remove that as well:')) as [string]
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
let firstTask: StartedTask
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
    report.timed('cdk synth, beside it', () =>
      stand.cdk.synth({ channelPort: String(channels.port), dataPlaneImage: IMAGE }),
    ),
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

/** The physical ids of a stack's resources by logical ids. */
async function physicalIds(stack: string): Promise<Record<string, string | undefined>> {
  const resources = await stand.stacks.resources(stack)
  return Object.fromEntries(resources.map(({ LogicalResourceId: id, PhysicalResourceId }) => [id, PhysicalResourceId]))
}

/** The resources that a stack has in every region: the CDK's own count of its users is in some regions only. */
const deployable = async (stack: string) =>
  Object.entries(await stand.cdk.template(stack)).filter(([, { Type }]) => Type !== 'AWS::CDK::Metadata')

/** Every resource of the templates is deployed, in this state. @returns how many, for the report */
async function expectDeployed(states: readonly string[]): Promise<string> {
  const counts: string[] = []
  for (const stack of STACKS) {
    const deployed = await stand.stacks.resources(stack)
    const synthesised = (await deployable(stack)).map(([id]) => id)
    expect(deployed.map(({ LogicalResourceId: id }) => id).sort()).toEqual(synthesised.sort())
    expect(states).toEqual(expect.arrayContaining(deployed.map(({ ResourceStatus }) => ResourceStatus)))
    counts.push(`${deployed.length} in ${stack}`)
  }
  return counts.join(', ')
}

test('the README deploys all four stacks into an empty account', async () => {
  for (const stack of STACKS) stand.undo(() => stand.stacks.remove(stack))
  await report.timed(BOOTSTRAP, () => stand.cdk.run(BOOTSTRAP))
  await report.timed(DEPLOY, () => stand.cdk.run(DEPLOY))
  report.fact('resources deployed', await expectDeployed(['CREATE_COMPLETE']))
  tableName = await stand.stacks.output(STATE, 'TableName')
  stand.undo(() => stand.removeTable(tableName))
  base = await stand.stacks.output(STATE, 'Base')
  stand.names.push(base)
  server = stand.executeApi(await stand.stacks.output(CONTROL, 'ControlUrl'))
  report.fact('the API', `${server} before a Lambda`)
})

test('CloudWatch has every alarm of the template but those with metric math, and each notifies the topic', async () => {
  const { deployed, math } = await expectAlarms(stand)
  report.fact('alarms', `${deployed} in CloudWatch; with metric math, on the template alone: ${math.join(', ')}`)
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

test('the bundle of the image runs with the environment and the role of the deployed task definition', async () => {
  const started = await report.timed('data plane started', () => startDeployedTask(stand, 'data plane'))
  firstTask = started
  const { environment, definitionArn, rights } = started.task
  expect(environment).toMatchObject({ [ENV.table]: tableName, [ENV.base]: base, [ENV.proxyProtocol]: 'required' })
  report.fact('the task', `${definitionArn}: ${Object.keys(environment).length} variables, ${rights.length} statements`)
  visitors.forwardTo(started.ports.public.port)
  channels.forwardTo(started.ports.channel.port)
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

test('a second cdk deploy changes each stack in place and cuts nobody', async () => {
  const idsOf = () => Promise.all(STACKS.map(physicalIds))
  const before = await idsOf()
  const changed = { channelPort: String(laterChannels.port), accessLog: 'on', alarmEmail: 'ops@example.com' }
  await report.timed('cdk synth with changes', () => stand.cdk.synth({ ...changed, dataPlaneImage: IMAGE }))
  // Of the state, only a tag can change in a deployment without a domain.
  const output = await report.timed(`${DEPLOY}, of the changes`, () => stand.cdk.run(DEPLOY, '--tags', 'version=2'))
  expect(output).not.toContain('(no changes)')
  report.fact('resources after the change', await expectDeployed(['CREATE_COMPLETE', 'UPDATE_COMPLETE']))
  const after = await idsOf()
  const moved = STACKS.flatMap((stack, at) =>
    Object.keys(before[at]!).flatMap((id) => (before[at]![id] === after[at]![id] ? [] : `${stack} ${id}`)),
  )
  expect(moved).toEqual([expect.stringMatching(/^PosternData Task[0-9A-F]{8}$/)])
  report.fact('replaced', `${moved}, and nothing else`)

  const fresh = await call('POST', '/v1/tickets', adminToken, { username: 'admin', subdomain: 'measured' })
  expect(channelTicketSchema.parse(JSON.parse(fresh.body)).port).toBe(laterChannels.port)
  report.fact('first ticket call after it', `${fresh.ms.toFixed(0)} ms`)
  expect(await visit(tunnel.host, '/still')).toMatchObject({ status: 200, body: 'GET /still came through' })

  const { task, table, ports } = await startDeployedTask(stand, 'data plane of the change')
  expect(task.definitionArn).not.toBe(firstTask.task.definitionArn)
  expect(task.environment).toEqual({ ...firstTask.task.environment, [ENV.accessLog]: 'on' })
  laterChannels.forwardTo(ports.channel.port)
  const later = startAgent('later')
  const { host } = new URL(await later.firstLine())
  // By the balancer's one address: the first task asks the second.
  expect(await ask({ port: visitors.port, host, path: '/new' })).toMatchObject({
    status: 200,
    body: 'GET /new came through',
  })
  await later.stop()
  expect([...firstTask.table.refused, ...table.refused]).toEqual([])
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

test('cdk destroy leaves what is retained, and its items; the state is refused while it is protected', async () => {
  const ids = new Map<string, string>()
  for (const stack of STACKS) ids.set(stack, await stand.stacks.id(stack))
  await report.timed('cdk destroy, of the state twice', async () => {
    await stand.cdk.run(DESTROY)
    const refused = await stand.cdk.try(DESTROY_STATE)
    expect([refused.code === 0, refused.output]).toEqual([false, expect.stringMatching(/TerminationProtection/)])
    await stand.stacks.unprotect(STATE)
    await stand.cdk.run(DESTROY_STATE)
  })
  const left: string[] = []
  let gone = 0
  for (const [stack, id] of ids) {
    expect(await stand.stacks.exists(stack)).toBe(false)
    const resources = await deployable(stack)
    const retained = resources.filter(([, { DeletionPolicy }]) => DeletionPolicy === 'Retain')
    const deletions = await stand.stacks.deletions(id)
    expect(deletions.get('DELETE_SKIPPED') ?? new Set()).toEqual(new Set(retained.map(([logicalId]) => logicalId)))
    const others = resources.filter((resource) => !retained.includes(resource))
    expect(deletions.get('DELETE_COMPLETE')).toEqual(new Set(others.map(([logicalId]) => logicalId)))
    gone += others.length
    left.push(...retained.map(([logicalId, { Type }]) => `${Type} ${logicalId} of ${stack}`))
  }
  expect((await call('GET', '/healthz', adminToken)).status).toBe(404)
  const client = createDynamoClient()
  stand.undo(() => client.destroy())
  const users = openStore({ tableName, client }).users
  expect(await users.find('somebody')).toMatchObject({ username: 'somebody' })
  report.fact('removed by cdk destroy', `${gone} resources; left: ${left.join(', ')}`)
})
