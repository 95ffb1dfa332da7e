/**
 * A whole system for a test: embedded table in memory and control plane here, data planes and agents as real processes
 * from the built bundles. When it stops, everything it leaves behind is searched for its secrets, and every task must be back at its base.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type EmbeddedTable, startEmbeddedTable } from '@postern/local/embedded-table'
import { makeToken } from '@postern/local/first-account'
import type { IpPolicy } from '@postern/protocol/address'
import { ENV } from '@postern/protocol/environment'
import { openStore, type Stores } from '@postern/protocol/store'
import { newDeploymentSecret, type Secret } from '@postern/protocol/ticket'
import { Canaries, type Place } from './canaries.ts'
import { searchAll } from './canary-tally.ts'
import { addDeploymentSecret } from './deployment-canaries.ts'
import { opsAnswers } from './ops-answers.ts'
import { ResourceCheck } from './resources/resource-check.ts'
import { ServedControlPlane } from './served-control-plane.ts'
import { dumpTable } from './table-dump.ts'
import { TestProcess } from './test-process.ts'
import { unhurriedClient } from './unhurried-client.ts'

export interface SystemOptions {
  readonly ipPolicy?: IpPolicy
  /** Base domain: `localhost` unless told. */
  readonly base?: string
  /** Tunnels have https URLs, as behind a balancer that terminates TLS; http by default. */
  readonly https?: boolean
  /** Path that begins the name of a file for each data plane's standard output: for a load whose access log must cost this process nothing. */
  readonly dataPlaneOutput?: string
  /** Where agents find the channel server; 127.0.0.1 unless told. */
  readonly channelHost?: string
  /** Text of the channel secret; a new one unless told. */
  readonly secret?: string
  /** Agents are at one data plane, and visitors come in at another. POSTERN_TEST_HOP=1 unless told. */
  readonly hop?: boolean
  /** For every process: POSTERN_TIME_SCALE and the like. */
  readonly env?: Readonly<Record<string, string>>
  /** Starts the table; one in this process unless told. */
  readonly table?: () => Promise<EmbeddedTable>
  /** Whoever starts the data planes does so later, and tells the control plane where tickets lead. */
  readonly withoutDataPlane?: boolean
  /** What data planes get to stop at the end; as long as every other process unless told. */
  readonly dataPlaneGraceMs?: number
  /** How long tasks get to come back to their base; long enough for a slow machine unless told. */
  readonly backAtBaseMs?: number
}

export interface ProcessStart {
  /** For messages. */
  readonly name: string
  /** Arguments for Node: script and its arguments. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Before Node's own command. */
  readonly prefix?: readonly string[]
  /** So many new tokens are shown to a person on its standard output, once each. None unless told. */
  readonly newTokens?: number
  /** The file that its standard output goes to instead of to this process. */
  readonly stdoutFile?: string | undefined
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
  /** Before Node's own command. */
  readonly prefix?: readonly string[]
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
  /** Where other tasks come in. */
  readonly peer: number
  readonly ops: number
}

const BASE = 'localhost'
/** No port: which one it is is known only after the processes have been told this. */
const publicUrl = ({ base = BASE, https }: SystemOptions): string => `http${https ? 's' : ''}://{subdomain}.${base}`
const bundle = (room: string): string => fileURLToPath(new URL(`../../${room}/dist/main.js`, import.meta.url))

interface StartedProcess {
  readonly process: TestProcess
  readonly newTokens: number | undefined
  /** Of a task. */
  ports?: Ports
}

interface Parts {
  readonly options: SystemOptions
  readonly canaries: Canaries
  readonly table: EmbeddedTable
  readonly stores: Stores
  readonly control: ServedControlPlane
  readonly secretFile: string
  readonly hopSecretFile: string
  readonly resources: ResourceCheck
  readonly undo: (() => unknown)[]
}

export class System {
  readonly base: string
  readonly stores: Stores
  /** Where a test may say of which secrets it knows. */
  readonly canaries: Canaries
  readonly control: ServedControlPlane
  /** The latest one started. */
  dataPlane!: TestProcess
  ports!: Ports
  readonly #parts: Parts
  /** Not a constant, so that it can be searched for. */
  readonly #awsSecretKey = randomBytes(20).toString('hex')
  readonly #tokens = new Map<string, Promise<Secret>>()
  readonly #processes: StartedProcess[] = []

  private constructor(parts: Parts) {
    this.base = parts.options.base ?? BASE
    this.stores = parts.stores
    this.canaries = parts.canaries
    this.control = parts.control
    this.#parts = parts
    this.canaries.add('the AWS secret key', this.#awsSecretKey)
  }

  static async start(options: SystemOptions = {}): Promise<System> {
    const canaries = new Canaries()
    const undo: (() => unknown)[] = []
    const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
    undo.push(() => rm(folder, { recursive: true, force: true }))
    const secretFile = join(folder, 'channel-secret.json')
    const hopSecretFile = join(folder, 'hop-secret.json')
    const hopSecret = newDeploymentSecret(randomBytes)
    addDeploymentSecret(canaries, hopSecret)
    await writeFile(hopSecretFile, hopSecret, { mode: 0o600 })

    const table = await (options.table ?? startEmbeddedTable)()
    undo.push(() => table.stop())
    const client = unhurriedClient(table.endpoint)
    undo.push(() => client.destroy())
    const stores = openStore({ tableName: table.tableName, client })
    const ipPolicy = options.ipPolicy ?? 'observed'
    const base = options.base ?? BASE
    const channelHost = options.channelHost ?? '127.0.0.1'
    const settings = { base, publicUrl: publicUrl(options), channelHost, ipPolicy }
    const control = await ServedControlPlane.start({ stores, canaries, settings })
    undo.push(() => control.stop())

    const resources = new ResourceCheck(options.backAtBaseMs)
    const system = new System({ options, canaries, table, stores, control, secretFile, hopSecretFile, resources, undo })
    try {
      const secret = options.secret ?? newDeploymentSecret(randomBytes)
      await system.giveDataPlanes(secret)
      control.use({ secret })
      if (options.withoutDataPlane) return system
      await system.startDataPlane()
      control.use({ channelPort: system.ports.channel })
      if (options.hop ?? process.env.POSTERN_TEST_HOP === '1') await system.startDataPlane()
    } catch (error) {
      await system.stop()
      throw error
    }
    return system
  }

  get publicPort(): number {
    return this.ports.public
  }

  /** The base domain, as an agent is told it: step 1 goes through the public port to the control plane. */
  get server(): string {
    return `http://${this.base}:${this.ports.public}`
  }

  /** The control plane without the data plane before it: it answers while no data plane runs. */
  get controlUrl(): string {
    return `http://127.0.0.1:${this.control.port}`
  }

  /** What whoever has the table itself is told in its environment. */
  get tableEnv(): Readonly<Record<string, string>> {
    return {
      [ENV.table]: this.#parts.table.tableName,
      AWS_ENDPOINT_URL_DYNAMODB: this.#parts.table.endpoint,
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: 'embedded',
      AWS_SECRET_ACCESS_KEY: this.#awsSecretKey,
      AWS_SESSION_TOKEN: '',
      AWS_PROFILE: '',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    }
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

  /** The text of the channel secret for data planes that are started from now on. */
  async giveDataPlanes(secret: string): Promise<void> {
    addDeploymentSecret(this.canaries, secret)
    await writeFile(this.#parts.secretFile, secret, { mode: 0o600 })
  }

  /**
   * Starts a data plane, beside those that run (or again on `ports`, where they are given), and waits until it listens.
   * @param changes to its environment; undefined takes a variable out
   */
  async startDataPlane(
    ports: Ports = { public: 0, channel: 0, peer: 0, ops: 0 },
    changes: Readonly<Record<string, string | undefined>> = {},
  ): Promise<TestProcess> {
    const env: Record<string, string> = {
      ...this.tableEnv,
      [ENV.base]: this.base,
      [ENV.publicUrl]: publicUrl(this.#parts.options),
      [ENV.publicHosts]: '127.0.0.1',
      [ENV.publicPort]: String(ports.public),
      [ENV.channelPort]: String(ports.channel),
      [ENV.peerPort]: String(ports.peer),
      [ENV.opsPort]: String(ports.ops),
      [ENV.proxyProtocol]: 'off',
      [ENV.ipPolicy]: this.#parts.options.ipPolicy ?? 'observed',
      [ENV.channelSecretFile]: this.#parts.secretFile,
      [ENV.hopSecretFile]: this.#parts.hopSecretFile,
      [ENV.apex]: `127.0.0.1:${this.control.port}`,
      [ENV.logLevel]: 'info',
      ...changes,
    }
    const { dataPlaneOutput } = this.#parts.options
    const stdoutFile = dataPlaneOutput && `${dataPlaneOutput}-${this.#processes.length}`
    const dataPlane = this.run({ name: 'data plane', args: [bundle('data-plane')], env, stdoutFile })
    const listening = JSON.parse(await dataPlane.firstLine())
    this.dataPlane = dataPlane
    const { public: visitors, channel, peer, ops } = listening
    this.ports = { public: visitors.port, channel: channel.port, peer: peer?.port ?? 0, ops: ops.port }
    this.#processes.find(({ process }) => process === dataPlane)!.ports = this.ports
    await this.#parts.resources.watch({
      name: nameOf(dataPlane, this.#processes.length - 1),
      pid: dataPlane.pid,
      ports: this.ports,
      ...(env[ENV.peerAddress] !== undefined && { reachedAt: Number(env[ENV.peerAddress]!.split(':').at(-1)) }),
      calls: [env.AWS_ENDPOINT_URL_DYNAMODB, `http://${env[ENV.apex]}`].map((url) => Number(new URL(url!).port)),
      over: () => dataPlane.ending,
    })
    return dataPlane
  }

  /** Starts an agent without waiting for it: for those that are expected to fail. */
  async launchAgent(start: AgentStart): Promise<TestProcess> {
    const token = start.token ?? (await this.token(start.username ?? 'tester')).reveal()
    const name = start.subdomain === undefined ? [] : ['--subdomain', start.subdomain]
    const args = ['http', String(start.target), '--server', start.server ?? this.server, ...name, ...(start.args ?? [])]
    const env = { TUNNEL_AGENT_TOKEN: token, ...start.env }
    const { prefix } = start
    return this.run({ name: 'agent', args: [bundle('agent'), ...args], env, ...(prefix && { prefix }) })
  }

  /** Starts an agent and waits for its URL. */
  async startAgent(start: AgentStart): Promise<RunningAgent> {
    const process = await this.launchAgent(start)
    const url = await process.firstLine()
    return { process, url, host: new URL(url).host }
  }

  /** Starts any process of the system: it is stopped with it, and what it writes is searched like everything else. */
  run({ name, args, env, newTokens, stdoutFile, prefix }: ProcessStart): TestProcess {
    const { TUNNEL_AGENT_TOKEN: _token, TUNNEL_AGENT_SERVER: _server, ...inherited } = globalThis.process.env
    const process = new TestProcess({
      name,
      args,
      stdoutFile,
      prefix,
      env: { ...inherited, ...this.#parts.options.env, ...env },
    })
    this.#processes.push({ process, newTokens })
    return process
  }

  /** All that stands in the table, one item a line. */
  dumpTable(): Promise<Buffer> {
    return dumpTable(this.#parts.table)
  }

  /**
   * Ends every process, serves nothing more, and looks for secrets and for what nobody has given back. Harmless when repeated.
   * @throws Error that names every place where something of a secret stands that may not; or every resource that is left
   */
  async stop(): Promise<void> {
    const processes = this.#processes.splice(0)
    const undo = this.#parts.undo.splice(0)
    if (undo.length === 0) return
    const places: Place[] = []
    try {
      for (const { process, ports } of processes) {
        if (ports !== undefined && process.running) places.push(...(await opsAnswers(ports.ops)))
      }
      await this.#endProcesses(processes)
      places.push({ name: 'the table', bytes: await this.dumpTable() })
    } finally {
      for (const step of undo.reverse()) await step()
    }
    for (const [index, { process, newTokens }] of processes.entries()) {
      const name = nameOf(process, index)
      places.push({ name: `standard output of ${name}`, bytes: process.written('stdout'), newTokens: newTokens ?? 0 })
      places.push({ name: `standard error of ${name}`, bytes: process.written('stderr') })
    }
    searchAll(this.canaries, [...places, ...this.control.places])
    this.#parts.resources.verdict()
  }

  /** Agents first, so that they can say that they leave; tasks when they have been looked at. */
  async #endProcesses(processes: readonly StartedProcess[]): Promise<void> {
    const { resources, options } = this.#parts
    try {
      await resources.visitorsGone()
      for (const { process, ports } of processes.toReversed()) if (ports === undefined) await process.stop()
      await resources.agentsGone()
    } finally {
      for (const { process } of processes.toReversed()) await process.stop(options.dataPlaneGraceMs)
    }
  }

  async #newToken(username: string): Promise<Secret> {
    const [maxSubdomains, maxTunnels] = [100, 100]
    const patterns = new Set(['*'])
    await this.stores.users.create({ username, patterns, maxSubdomains, maxTunnels, createdAt: Date.now() })
    const token = await makeToken(this.stores, username, Date.now())
    this.canaries.add(`the token of ${username}`, token.reveal())
    return token
  }
}

export const startSystem = (options: SystemOptions = {}): Promise<System> => System.start(options)

const nameOf = (process: TestProcess, index: number): string => `process ${index + 1} (${process.name})`
