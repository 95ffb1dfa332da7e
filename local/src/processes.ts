/** How the data plane and the agent are started on this machine, from the sources of this checkout. Knows nothing of the order. */
import { fileURLToPath } from 'node:url'
import { ENV } from '@postern/protocol/environment'
import * as z from 'zod/mini'
import { Child } from './child.ts'
import type { Front } from './front.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSX = import.meta.resolve('tsx')

const listeningSchema = z.object({
  event: z.literal('listening'),
  public: z.object({ port: z.int() }),
  channel: z.object({ port: z.int() }),
  ops: z.object({ port: z.int() }),
})

export interface DataPlaneProcess {
  readonly child: Child
  readonly publicPort: number
  readonly channelPort: number
  readonly opsPort: number
}

export interface DataPlaneOptions {
  /** For messages. */
  readonly name: string
  readonly table: { readonly endpoint: string; readonly tableName: string }
  readonly base: string
  /** With `{subdomain}` in it. */
  readonly publicUrl: string
  /** Where it listens. */
  readonly publicPort: number
  readonly publicHosts: readonly string[]
  /** `required` behind a balancer. */
  readonly proxyProtocol: 'required' | 'optional' | 'off'
  /** Of somebody's own front, if there is one. */
  readonly front?: Pick<Front, 'trustedProxies' | 'nestedNames'> | undefined
  /** Where agents connect; any port beside the visitors' unless given. */
  readonly channel?: { readonly address: string; readonly port: number } | undefined
  readonly channelSecretFile: string
  /** What several tasks know each other by; undefined: there is one. */
  readonly hopSecretFile?: string
  /** Port of the control server on this machine. */
  readonly controlPort: number
  complaint(line: string): void
}

/** @throws TunnelFault if the process ends before it listens; what it complained of says why */
export async function startDataPlane(options: DataPlaneOptions): Promise<DataPlaneProcess> {
  const child = new Child({
    name: options.name,
    args: ['--import', TSX, 'data-plane/src/main.ts'],
    cwd: ROOT,
    env: {
      ...process.env,
      [ENV.table]: options.table.tableName,
      [ENV.base]: options.base,
      [ENV.publicUrl]: options.publicUrl,
      [ENV.publicHosts]: options.publicHosts.join(','),
      [ENV.publicPort]: String(options.publicPort),
      [ENV.channelPort]: String(options.channel?.port ?? 0),
      ...(options.channel !== undefined && { [ENV.channelAddress]: options.channel.address }),
      ...(options.front !== undefined && {
        [ENV.trustedProxies]: options.front.trustedProxies.join(','),
        [ENV.nestedNames]: options.front.nestedNames ?? '',
      }),
      [ENV.opsPort]: '0',
      [ENV.proxyProtocol]: options.proxyProtocol,
      [ENV.ipPolicy]: 'observed',
      [ENV.loopbackIsOne]: options.front === undefined ? '1' : '0',
      [ENV.channelSecretFile]: options.channelSecretFile,
      ...(options.hopSecretFile !== undefined && { [ENV.hopSecretFile]: options.hopSecretFile, [ENV.peerPort]: '0' }),
      [ENV.apex]: `127.0.0.1:${options.controlPort}`,
      // Nobody sees what it writes there.
      [ENV.accessLog]: process.env[ENV.accessLog] ?? 'off',
      [ENV.logLevel]: process.env[ENV.logLevel] ?? 'warn',
      // The table is on this machine: whatever account the person is signed in to must not come near it.
      AWS_ENDPOINT_URL_DYNAMODB: options.table.endpoint,
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: 'embedded',
      AWS_SECRET_ACCESS_KEY: 'embedded',
      AWS_SESSION_TOKEN: '',
      AWS_PROFILE: '',
    },
    complaint: options.complaint,
  })
  const { public: visitors, channel, ops } = listeningSchema.parse(JSON.parse(await child.line()))
  return { child, publicPort: visitors.port, channelPort: channel.port, opsPort: ops.port }
}

/** With `{subdomain}` in it, as both planes take it. */
export const publicUrl = (base: string, port: number): string =>
  `http://{subdomain}.${base}${port === 80 ? '' : `:${port}`}`

export interface AgentProcess {
  readonly child: Child
  /** What it printed on standard output. */
  readonly url: string
}

export interface AgentOptions {
  readonly target: string
  readonly subdomain: string
  /** Holds server and token. */
  readonly profile: string
  complaint(line: string): void
}

/** @throws TunnelFault if it ends before the tunnel is open */
export async function startAgent(options: AgentOptions): Promise<AgentProcess> {
  const { TUNNEL_AGENT_TOKEN: _token, TUNNEL_AGENT_SERVER: _server, ...environment } = process.env
  const child = new Child({
    name: 'agent',
    args: ['agent/bin/tunnel-agent.js', 'http', options.target, '--subdomain', options.subdomain, '--quiet'],
    cwd: ROOT,
    env: { ...environment, TUNNEL_AGENT_CONFIG: options.profile },
    complaint: options.complaint,
  })
  return { child, url: await child.line() }
}
