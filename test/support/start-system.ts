/**
 * A whole system for a test: embedded table in memory and control plane here, data plane and agents as real processes
 * from the built bundles. Knows nothing of what is tested.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createApp } from '@postern/control-plane'
import { startControlServer } from '@postern/local/control-server'
import { startEmbeddedTable } from '@postern/local/embedded-table'
import { makeToken } from '@postern/local/first-account'
import type { IpPolicy } from '@postern/protocol/address'
import { ENV } from '@postern/protocol/environment'
import { createDynamoClient, openStore, type Stores } from '@postern/protocol/store'
import { newDeploymentSecret, parseDeploymentKeys, type Secret } from '@postern/protocol/ticket'
import { TestProcess } from './test-process.ts'

export interface SystemOptions {
  readonly ipPolicy?: IpPolicy
  /** For every process: POSTERN_TIME_SCALE and the like. */
  readonly env?: Readonly<Record<string, string>>
}

export interface AgentStart {
  /** As on the command line: port, `host:port`. */
  readonly target: number | string
  readonly subdomain?: string
  /** Whose token it has; made when nobody had it yet. */
  readonly username?: string
  /** Instead of that user's. */
  readonly token?: string
  /** Instead of the base domain on the public port. */
  readonly server?: string
  /** Further options of the command line. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface RunningAgent {
  readonly process: TestProcess
  /** What it printed: the public URL. */
  readonly url: string
  /** For the Host field: `demo.localhost`. */
  readonly host: string
}

export interface Ports {
  readonly public: number
  readonly channel: number
  readonly ops: number
}

const BASE = 'localhost'
const bundle = (room: string): string => fileURLToPath(new URL(`../../${room}/dist/main.js`, import.meta.url))

export class System {
  readonly base = BASE
  readonly stores: Stores
  /** The control plane without the data plane before it: it answers while no data plane runs. */
  readonly controlUrl: string
  /** The latest one started. */
  dataPlane!: TestProcess
  ports!: Ports
  readonly #endpoint: string
  readonly #tableName: string
  readonly #secretFile: string
  readonly #controlPort: number
  readonly #options: SystemOptions
  readonly #tokens = new Map<string, Promise<Secret>>()
  readonly #processes: TestProcess[] = []
  readonly #undo: (() => unknown)[]

  private constructor(parts: {
    stores: Stores
    endpoint: string
    tableName: string
    secretFile: string
    controlPort: number
    options: SystemOptions
    undo: (() => unknown)[]
  }) {
    this.stores = parts.stores
    this.#endpoint = parts.endpoint
    this.#tableName = parts.tableName
    this.#secretFile = parts.secretFile
    this.#controlPort = parts.controlPort
    this.controlUrl = `http://127.0.0.1:${parts.controlPort}`
    this.#options = parts.options
    this.#undo = parts.undo
  }

  static async start(options: SystemOptions = {}): Promise<System> {
    const undo: (() => unknown)[] = []
    const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
    undo.push(() => rm(folder, { recursive: true, force: true }))
    const secret = newDeploymentSecret(randomBytes)
    const secretFile = join(folder, 'channel-secret.json')
    await writeFile(secretFile, secret, { mode: 0o600 })

    const table = await startEmbeddedTable()
    undo.push(() => table.stop())
    const client = createDynamoClient({ endpoint: table.endpoint })
    undo.push(() => client.destroy())
    const stores = openStore({ tableName: table.tableName, client })
    const control = await startControlServer()
    undo.push(() => control.stop())

    const { endpoint, tableName } = table
    const system = new System({ stores, endpoint, tableName, secretFile, controlPort: control.port, options, undo })
    try {
      await system.startDataPlane()
    } catch (error) {
      await system.stop()
      throw error
    }
    const app = createApp({
      stores,
      keys: parseDeploymentKeys(secret),
      settings: {
        base: BASE,
        publicUrl: system.#publicUrl,
        channelHost: '127.0.0.1',
        channelPort: system.ports.channel,
        ipPolicy: options.ipPolicy ?? 'observed',
      },
      now: Date.now,
      random: randomBytes,
      sourceIp: (c) => c.env.sourceIp,
      log: () => undefined,
    })
    control.serve((request, sourceIp) => app.fetch(request, { sourceIp }))
    return system
  }

  get publicPort(): number {
    return this.ports.public
  }

  /** Of the embedded table, for whoever has it in hand. */
  get table(): { readonly endpoint: string; readonly name: string } {
    return { endpoint: this.#endpoint, name: this.#tableName }
  }

  /** The base domain, as an agent is told it: step 1 goes through the public port to the control plane. */
  get server(): string {
    return `http://${BASE}:${this.ports.public}`
  }

  /** `user`'s token, the same at each call; the user is made when missing. */
  token(username: string): Promise<Secret> {
    let token = this.#tokens.get(username)
    if (!token) {
      token = this.#newToken(username)
      this.#tokens.set(username, token)
    }
    return token
  }

  /** Starts a data plane (again on `ports`, where they are given) and waits until it listens. */
  async startDataPlane(ports: Ports = { public: 0, channel: 0, ops: 0 }): Promise<TestProcess> {
    const dataPlane = this.#run('data plane', [bundle('data-plane')], {
      [ENV.table]: this.#tableName,
      [ENV.base]: BASE,
      [ENV.publicUrl]: this.#publicUrl,
      [ENV.publicHosts]: '127.0.0.1',
      [ENV.publicPort]: String(ports.public),
      [ENV.channelPort]: String(ports.channel),
      [ENV.opsPort]: String(ports.ops),
      [ENV.proxyProtocol]: 'off',
      [ENV.ipPolicy]: this.#options.ipPolicy ?? 'observed',
      [ENV.channelSecretFile]: this.#secretFile,
      [ENV.apex]: `127.0.0.1:${this.#controlPort}`,
      [ENV.logLevel]: 'info',
      AWS_ENDPOINT_URL_DYNAMODB: this.#endpoint,
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: 'embedded',
      AWS_SECRET_ACCESS_KEY: 'embedded',
      AWS_SESSION_TOKEN: '',
      AWS_PROFILE: '',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    })
    const listening = JSON.parse(await dataPlane.firstLine())
    this.dataPlane = dataPlane
    this.ports = { public: listening.public.port, channel: listening.channel.port, ops: listening.ops.port }
    return dataPlane
  }

  /** Starts an agent without waiting for it: for those that are expected to fail. */
  async launchAgent(start: AgentStart): Promise<TestProcess> {
    const token = start.token ?? (await this.token(start.username ?? 'tester')).reveal()
    const name = start.subdomain === undefined ? [] : ['--subdomain', start.subdomain]
    const args = ['http', String(start.target), '--server', start.server ?? this.server, ...name, ...(start.args ?? [])]
    return this.#run('agent', [bundle('agent'), ...args], { TUNNEL_AGENT_TOKEN: token, ...start.env })
  }

  /** Starts an agent and waits for its URL. */
  async startAgent(start: AgentStart): Promise<RunningAgent> {
    const process = await this.launchAgent(start)
    const url = await process.firstLine()
    return { process, url, host: new URL(url).host }
  }

  /** Ends every process and serves nothing more. Harmless when repeated. */
  async stop(): Promise<void> {
    // Agents first, so that they can say that they leave.
    for (const process of this.#processes.splice(0).reverse()) await process.stop()
    for (const undo of this.#undo.splice(0).reverse()) await undo()
  }

  /** No port: which one it is is known only after the process has been told this. */
  get #publicUrl(): string {
    return `http://{subdomain}.${BASE}`
  }

  async #newToken(username: string): Promise<Secret> {
    await this.stores.users.create({
      username,
      patterns: new Set(['*']),
      maxSubdomains: 100,
      maxTunnels: 100,
      createdAt: Date.now(),
    })
    return makeToken(this.stores, username, Date.now())
  }

  #run(name: string, args: readonly string[], env: Record<string, string>): TestProcess {
    const { TUNNEL_AGENT_TOKEN: _token, TUNNEL_AGENT_SERVER: _server, ...inherited } = globalThis.process.env
    const process = new TestProcess({ name, args, env: { ...inherited, ...this.#options.env, ...env } })
    this.#processes.push(process)
    return process
  }
}

export const startSystem = (options: SystemOptions = {}): Promise<System> => System.start(options)
