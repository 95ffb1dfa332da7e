/**
 * The image of a task, started as a process with exactly the environment of the synthesised task definition, on a table that lets it do
 * what the synthesised role may do, and nothing else.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { startControlServer } from '@postern/local/control-server'
import { startEmbeddedTable } from '@postern/local/embedded-table'
import { makeToken } from '@postern/local/first-account'
import { localControlPlane } from '@postern/local/local-control-plane'
import { ENV } from '@postern/protocol/environment'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import { newDeploymentSecret } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rightsByRole } from '../../cdk/lib/testing/rights.ts'
import { CONTEXTS, type ContextName, synthesised } from '../../cdk/lib/testing/synthesised.ts'
import { startListener } from '../stack/balancer.ts'
import { taskEnvironment } from '../stack/task-environment.ts'
import { type GuardedTable, guardTable } from '../support/guarded-table.ts'
import { TestProcess } from '../support/test-process.ts'
import { unpackImage } from '../support/unpacked-image.ts'

const REGION = 'eu-central-1'
const AGENT = fileURLToPath(new URL('../../agent/dist/main.js', import.meta.url))
const image = unpackImage()
const secret = newDeploymentSecret(randomBytes)
const hopSecret = newDeploymentSecret(randomBytes)
/** The private address that ECS tells the container of. */
const TASK_ADDRESS = '10.0.1.23'
const undo: (() => unknown)[] = [() => image.remove()]

let tableName: string
let tableEndpoint: string
let table: GuardedTable
let metadataUri: string

beforeAll(async () => {
  const embedded = await startEmbeddedTable()
  undo.push(() => embedded.stop())
  tableName = embedded.tableName
  tableEndpoint = embedded.endpoint
  const [, rights] = taskRole()
  table = await guardTable(embedded.endpoint, rights)
  undo.push(() => table.stop())
  const metadata = http.createServer((_, response) =>
    response.end(JSON.stringify({ Networks: [{ NetworkMode: 'awsvpc', IPv4Addresses: [TASK_ADDRESS] }] })),
  )
  metadata.listen(0, '127.0.0.1')
  await once(metadata, 'listening')
  metadataUri = `http://127.0.0.1:${(metadata.address() as AddressInfo).port}/v4/container`
  undo.push(() => {
    metadata.close()
    metadata.closeAllConnections()
  })
})
afterAll(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const taskRole = () =>
  [...rightsByRole(synthesised('no context').template.data)].find(([id]) => id.startsWith('TaskTaskRole'))!

/** What the deployed State stack exports, as far as a task is told of it. */
function exportsOf(context: ContextName): Map<string, string> {
  const { Outputs } = synthesised(context).template.state.toJSON() as {
    Outputs: Record<string, { Export?: { Name: string } }>
  }
  const names = Object.values(Outputs).flatMap(({ Export }) => Export?.Name ?? [])
  const local = (name: string): string => {
    if (name.includes('RefTable')) return tableName
    if (name.includes('RefAddress')) return '127.0.0.1'
    return `arn of ${name}`
  }
  return new Map(names.map((name) => [name, local(name)]))
}

/** The variables of the task definition, and nothing of this process's own. */
function definedEnvironment(context: ContextName) {
  const { Resources } = synthesised(context).template.data.toJSON() as {
    Resources: Parameters<typeof taskEnvironment>[0]
  }
  const { variables, secrets } = taskEnvironment(Resources, 'data-plane', {
    region: REGION,
    account: '000000000000',
    exports: exportsOf(context),
  })
  expect(Object.keys(secrets)).toEqual([ENV.channelSecret, ENV.hopSecret])
  return { ...variables, [ENV.channelSecret]: secret, [ENV.hopSecret]: hopSecret }
}

/** What Fargate adds for the role of the task, and where the table is here. */
const fromFargate = () => ({
  AWS_ACCESS_KEY_ID: 'role',
  AWS_SECRET_ACCESS_KEY: 'of the task',
  AWS_ENDPOINT_URL_DYNAMODB: table.endpoint,
  ECS_CONTAINER_METADATA_URI_V4: metadataUri,
})
/** Two tests at once must not meet on a port. */
const freePorts = (defined: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    [ENV.publicPort, ENV.redirectPort, ENV.channelPort, ENV.peerPort, ENV.opsPort]
      .filter((name) => name in defined)
      .map((name) => [name, '0']),
  )

interface Task {
  readonly env: Readonly<Record<string, string>>
  readonly id: string
  readonly ports: Readonly<Record<'public' | 'channel' | 'peer' | 'ops', number>>
  /** Where there is a domain. */
  readonly redirectPort: number | undefined
  stop(): Promise<number | null>
}

async function startTask(env: Record<string, string>): Promise<Task> {
  const [program, ...args] = image.command
  expect(program).toBe('node')
  // To root every folder is writable, so that it is the image's user here too; later than at the start, because Node itself
  // may lie where only root finds it.
  const drop = `process.setgroups([]); process.setgid(${image.user}); process.setuid(${image.user})`
  const asUser = process.getuid?.() === 0 ? ['--import', `data:text/javascript,${drop}`] : []
  const child = spawn(process.execPath, [...asUser, ...args], {
    cwd: image.workdir,
    // Behind a balancer a task that is told to stop stays for its whole time: 5.5 s instead of 110.
    env: { ...env, POSTERN_TIME_SCALE: '0.05' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  undo.push(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const listening = await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data').then(([line]) => JSON.parse(line)),
    exited.then(([code]) => {
      throw new Error(`it ended with ${code}: ${said}`)
    }),
  ])
  const { task: id, public: visitors, channel, peer, ops } = listening
  const ports = { public: visitors.port, channel: channel.port, peer: peer.port, ops: ops.port }
  return {
    id,
    env,
    ports,
    redirectPort: listening.redirect?.port,
    async stop() {
      child.kill('SIGTERM')
      const [code] = await exited
      return code
    },
  }
}

/** The command by which ECS asks the container. */
async function healthCommand(context: ContextName, env: Readonly<Record<string, string>>): Promise<number | null> {
  const [definition] = Object.values(synthesised(context).template.data.findResources('AWS::ECS::TaskDefinition'))
  const [kind, program, ...args] = definition!.Properties.ContainerDefinitions[0].HealthCheck.Command
  expect([kind, program]).toEqual(['CMD', 'node'])
  const [code] = await once(spawn(process.execPath, args, { env, stdio: 'ignore' }), 'exit')
  return code
}

/** A health check of the balancer: with PROXY v2 on its target group, it begins with a header, LOCAL and 84 bytes to be skipped. */
async function balancersCheck(port: number): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
  socket.write(Buffer.concat([signature, Buffer.from([0x20, 0x11, 0, 84]), Buffer.alloc(84)]))
  socket.write('GET /readyz HTTP/1.1\r\nHost: task\r\nConnection: close\r\n\r\n')
  return (await text(socket)).split('\r\n')[0]!
}

describe('the image', () => {
  test('is Node by digest and one file', () => {
    expect(image.from).toMatch(/^node:24[\w.-]*-alpine[\w.]*@sha256:[0-9a-f]{64}$/)
    expect(image.copied).toEqual([['dist/main.js', './main.mjs']])
    expect(readdirSync(image.workdir)).toEqual(['main.mjs'])
  })

  test('is built without running anything, so on any machine for any architecture', () => {
    expect(image.others).toEqual(['ENV', 'HEALTHCHECK'])
  })

  test('runs as the user of the task definition, who is not root', () => {
    const [definition] = Object.values(
      synthesised('no context').template.data.findResources('AWS::ECS::TaskDefinition'),
    )
    expect(definition!.Properties.ContainerDefinitions[0].User).toBe(`${image.user}:${image.user}`)
    expect(image.user).toBeGreaterThan(0)
  })
})

// Side by side: each takes as long as a task takes to stop.
test.concurrent.each(CONTEXTS)(
  'starts with the environment of the task definition alone, and is healthy (%s)',
  async (context) => {
    const defined = definedEnvironment(context)
    const task = await startTask({ ...defined, ...fromFargate(), ...freePorts(defined) })
    expect(await balancersCheck(task.ports.ops)).toBe('HTTP/1.1 200 OK')
    expect(task.redirectPort !== undefined).toBe(ENV.redirectPort in defined)
    expect(await healthCommand(context, { ...defined, [ENV.opsPort]: String(task.ports.ops) })).toBe(0)
    expect(await task.stop()).toBe(0)
    expect(await healthCommand(context, { ...defined, [ENV.opsPort]: String(task.ports.ops) })).toBe(1)
  },
)

test('a variable of the task definition that were missing would end it, by name', async () => {
  const defined = definedEnvironment('no context')
  const { [ENV.channelSecret]: _secret, ...rest } = { ...defined, ...fromFargate(), ...freePorts(defined) }
  await expect(startTask(rest)).rejects.toThrowError(ENV.channelSecret)
})

test('the table of these tests refuses what the role may not do', async () => {
  const [, rights] = taskRole()
  const guard = await guardTable(tableEndpoint, rights)
  const client = createDynamoClient({ endpoint: guard.endpoint })
  await expect(openStore({ tableName, client }).users.find('ada')).rejects.toThrowError()
  expect([...guard.refused]).toEqual(['GetItem USER#…'])
  client.destroy()
  await guard.stop()
})

test('carries a request from behind the balancer to an agent, and does to the table what its role may do, no more', async () => {
  const defined = definedEnvironment('no context')
  const task = await startTask({ ...defined, ...fromFargate(), ...freePorts(defined) })
  const channels = await startListener()
  const visitors = await startListener()
  undo.push(
    () => channels.stop(),
    () => visitors.stop(),
  )
  channels.forwardTo(task.ports.channel)
  visitors.forwardTo(task.ports.public)

  const client = createDynamoClient({ endpoint: tableEndpoint })
  undo.push(() => client.destroy())
  const stores = openStore({ tableName, client })
  const control = await startControlServer()
  undo.push(() => control.stop())
  const { [ENV.base]: base = '', [ENV.publicUrl]: publicUrl = '' } = task.env
  const settings = {
    base,
    publicUrl,
    channelHost: '127.0.0.1',
    channelPort: channels.port,
    ipPolicy: 'observed',
  } as const
  const complaints: string[] = []
  const secrets = { channelSecret: secret, grantSecret: newDeploymentSecret(randomBytes) }
  control.serve(localControlPlane({ stores, ...secrets, settings, complaint: (line) => complaints.push(line) }))
  const account = { patterns: new Set(['*']), maxSubdomains: 10, maxTunnels: 10, createdAt: Date.now() }
  await stores.users.create({ username: 'ada', ...account })
  const token = await makeToken(stores, 'ada', Date.now())

  const origin = http.createServer((request, response) => response.end(`${request.url} came through`))
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  undo.push(() => origin.close())
  const { port } = origin.address() as AddressInfo
  const agent = new TestProcess({
    name: 'agent',
    args: [AGENT, 'http', String(port), '--server', `http://127.0.0.1:${control.port}`, '--subdomain', 'demo'],
    env: { ...process.env, TUNNEL_AGENT_TOKEN: token.reveal() },
  })
  undo.push(() => agent.stop())
  expect(await agent.firstLine()).toBe('http://demo.127-0-0-1.sslip.io')

  const answer = await new Promise<string>((resolve, reject) => {
    const options = { port: visitors.port, path: '/it', headers: { host: 'demo.127-0-0-1.sslip.io' }, agent: false }
    http.get(options, async (response) => resolve(await new Response(response as never).text())).on('error', reject)
  })
  expect(answer).toBe('/it came through')
  const others = (await stores.tasks.list()).filter(({ taskId }) => taskId === task.id)
  expect(others.map(({ addr }) => addr)).toEqual([`${TASK_ADDRESS}:${task.ports.peer}`])

  await agent.stop()
  expect(await task.stop()).toBe(0)
  expect(complaints).toEqual([])
  expect([...table.refused]).toEqual([])
  expect([...table.allowed].sort()).toEqual([
    'DeleteItem TASKS',
    'DeleteItem TICKET#…',
    'DeleteItem TUNNELS',
    'GetItem TICKET#…',
    'PutItem NODE-AUDIT#…',
    'PutItem TUNNELS',
    'Query REVOKE',
    'Query ROUTE#…',
    'Query TASKS',
    'UpdateItem ROUTE#…',
    'UpdateItem TASKS',
  ])
})
