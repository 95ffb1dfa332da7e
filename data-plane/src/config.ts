/** Reads the settings of a data-plane task from its environment, once, at start. Knows nothing of what they are used for. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { parseNetwork, parseSubdomain } from '@postern/protocol/address'
import { ENV } from '@postern/protocol/environment'
import { TunnelFault } from '@postern/protocol/fault'
import { readSecret } from '@postern/protocol/store'
import * as z from 'zod/mini'
import type { CoveredNames } from './dispatch/nested-names.ts'
import { TrustedProxies } from './proxy/visitor.ts'

const port = z.pipe(
  z.transform((value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value)),
  z.int().check(z.gte(0), z.lte(65_535)),
)
const hostAndPort = z.string().check(z.regex(/^[^:]+:\d+$|^\[[0-9a-f:]+\]:\d+$/i, 'expected host:port'))

const environmentSchema = z.object({
  [ENV.table]: z.string().check(z.minLength(1)),
  [ENV.base]: z.string().check(z.regex(/^[a-z0-9.-]+$/, 'expected a lower-case host name without port')),
  [ENV.publicUrl]: z.string().check(
    z.includes('{subdomain}'),
    z.refine((text) => URL.canParse(text.replace('{subdomain}', 'any')), 'expected a URL'),
  ),
  [ENV.nestedNames]: z.optional(z.string()),
  [ENV.publicHosts]: z._default(z.string(), '0.0.0.0'),
  [ENV.publicPort]: z._default(port, 8080),
  [ENV.redirectPort]: z.optional(port),
  [ENV.channelPort]: z._default(port, 7000),
  [ENV.channelAddress]: z.optional(z.string().check(z.refine((text) => isIP(text) !== 0, 'expected an IP address'))),
  [ENV.peerPort]: z._default(port, 7100),
  [ENV.peerAddress]: z.optional(
    z.string().check(z.regex(/^([0-9.]+|\[[0-9a-f:]+\])(:\d+)?$/i, 'expected an IP address, with or without a port')),
  ),
  [ENV.opsPort]: z._default(port, 9000),
  [ENV.proxyProtocol]: z._default(z.enum(['required', 'optional', 'off']), 'required'),
  [ENV.trustedProxies]: z.optional(z.string()),
  [ENV.ipPolicy]: z._default(z.enum(['strict', 'observed', 'off']), 'observed'),
  [ENV.loopbackIsOne]: z.optional(z.enum(['0', '1'])),
  [ENV.channelSecret]: z.optional(z.string()),
  [ENV.channelSecretFile]: z.optional(z.string()),
  [ENV.channelSecretArn]: z.optional(z.string().check(z.minLength(1))),
  [ENV.hopSecret]: z.optional(z.string()),
  [ENV.hopSecretFile]: z.optional(z.string()),
  [ENV.hopSecretArn]: z.optional(z.string().check(z.minLength(1))),
  [ENV.apex]: z.optional(hostAndPort),
  [ENV.taskId]: z.optional(z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/))),
  // Set by ECS in each of its containers.
  ECS_CONTAINER_METADATA_URI_V4: z.optional(z.string()),
  [ENV.logLevel]: z._default(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']), 'info'),
  [ENV.metrics]: z._default(z.enum(['emf', 'off']), 'off'),
  [ENV.accessLog]: z._default(z.enum(['on', 'with-query', 'off']), 'on'),
})

export interface Config {
  readonly table: string
  readonly base: string
  readonly publicUrl: string
  /** Of which tunnels hosts below their names are served. */
  readonly nestedNames: CoveredNames
  readonly publicHosts: readonly string[]
  readonly publicPort: number
  /** Undefined: nobody listens for visitors who came by http and shall come by https. */
  readonly redirectPort: number | undefined
  readonly channelPort: number
  /** Undefined: where visitors come to. */
  readonly channelAddress: string | undefined
  readonly peerPort: number
  /** What other tasks are told: `address` or `address:port`. Undefined: the task finds out by itself. */
  readonly peerAddress: string | undefined
  /** Where ECS tells the container about itself, if it runs there. */
  readonly metadataUri: string | undefined
  readonly opsPort: number
  readonly proxyProtocol: 'required' | 'optional' | 'off'
  /** Undefined: there is none. */
  readonly trustedProxies: TrustedProxies | undefined
  readonly ipPolicy: 'strict' | 'observed' | 'off'
  readonly loopbackIsOne: boolean
  /** The text of the channel secret; parsed where it is used, so that it is held in one place. */
  readonly channelSecret: string
  /** Undefined: this task is on its own. */
  readonly hopSecret: string | undefined
  readonly apex: { readonly host: string; readonly port: number } | undefined
  readonly taskId: string
  readonly logLevel: string
  readonly metrics: 'emf' | 'off'
  readonly accessLog: 'on' | 'with-query' | 'off'
}

/**
 * Asks Secrets Manager where a secret is given by its ARN.
 * @throws TunnelFault `config-invalid`, naming every variable that is missing or wrong, or the secret that cannot be read.
 */
export async function readConfig(environment: NodeJS.ProcessEnv): Promise<Config> {
  const parsed = z.safeParse(environmentSchema, environment)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new TunnelFault('config-invalid', problems.join('; '))
  }
  const env = parsed.data
  if (env[ENV.redirectPort] !== undefined && !env[ENV.publicUrl].startsWith('https://'))
    throw new TunnelFault('config-invalid', `${ENV.redirectPort}: ${ENV.publicUrl} is not reached by https`)
  return {
    table: env[ENV.table],
    base: env[ENV.base],
    publicUrl: env[ENV.publicUrl],
    nestedNames: coveredBy(env[ENV.nestedNames], env[ENV.publicUrl]),
    publicHosts: env[ENV.publicHosts].split(','),
    publicPort: env[ENV.publicPort],
    redirectPort: env[ENV.redirectPort],
    channelPort: env[ENV.channelPort],
    channelAddress: env[ENV.channelAddress],
    peerPort: env[ENV.peerPort],
    peerAddress: env[ENV.peerAddress],
    metadataUri: env.ECS_CONTAINER_METADATA_URI_V4,
    opsPort: env[ENV.opsPort],
    proxyProtocol: env[ENV.proxyProtocol],
    trustedProxies: proxiesIn(env[ENV.trustedProxies]),
    ipPolicy: env[ENV.ipPolicy],
    loopbackIsOne: env[ENV.loopbackIsOne] === '1',
    ...(await readSecrets(env)),
    apex: splitHostPort(env[ENV.apex]),
    taskId: env[ENV.taskId] ?? `task-${randomBytes(6).toString('hex')}`,
    logLevel: env[ENV.logLevel],
    metrics: env[ENV.metrics],
    accessLog: env[ENV.accessLog],
  }
}

function coveredBy(list: string | undefined, publicUrl: string): CoveredNames {
  if (list === undefined || list === '') return publicUrl.startsWith('https:') ? new Set() : 'all'
  if (list === '*') return 'all'
  try {
    return new Set(list.split(',').map((name) => parseSubdomain(name.trim())))
  } catch (cause) {
    throw new TunnelFault('config-invalid', `${ENV.nestedNames}: ${list} is neither * nor names of tunnels`, { cause })
  }
}

function proxiesIn(list: string | undefined): TrustedProxies | undefined {
  if (list === undefined || list === '') return undefined
  const networks = list.split(',').map((text) => {
    const network = parseNetwork(text.trim())
    // A network of all addresses would let every visitor name an address of its choice.
    if (network === undefined || network.prefix === 0)
      throw new TunnelFault(
        'config-invalid',
        `${ENV.trustedProxies}: ${text} is no network like 10.0.0.0/8 or fd00::/8`,
      )
    return network
  })
  return new TrustedProxies(networks)
}

type Environment = z.output<typeof environmentSchema>

/** Where one secret may stand. */
const CHANNEL = { text: ENV.channelSecret, file: ENV.channelSecretFile, arn: ENV.channelSecretArn } as const
const HOP = { text: ENV.hopSecret, file: ENV.hopSecretFile, arn: ENV.hopSecretArn } as const

async function readSecrets(env: Environment): Promise<Pick<Config, 'channelSecret' | 'hopSecret'>> {
  const channelSecret = await secretOf(env, CHANNEL)
  if (channelSecret === undefined) throw oneOf(CHANNEL)
  return { channelSecret, hopSecret: await secretOf(env, HOP) }
}

/** Two of them could differ, and nobody would see which one counts. Undefined: none is given. */
async function secretOf(env: Environment, names: typeof CHANNEL | typeof HOP): Promise<string | undefined> {
  const [text, file, arn] = [env[names.text], env[names.file], env[names.arn]]
  if ([text, file, arn].filter((source) => source !== undefined).length > 1) throw oneOf(names)
  if (arn !== undefined) return readSecret(arn)
  return file === undefined ? text : readText(names.file, file)
}

const oneOf = ({ text, file, arn }: typeof CHANNEL | typeof HOP): TunnelFault =>
  new TunnelFault('config-invalid', `Of ${text}, ${file} and ${arn} exactly one is needed.`)

function readText(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new TunnelFault('config-invalid', `${variable}: ${file} cannot be read`, { cause })
  }
}

function splitHostPort(text: string | undefined): Config['apex'] {
  if (text === undefined) return undefined
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}
