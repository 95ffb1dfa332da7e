/** The command line as a value. Knows nothing of the environment, the profile or what a command does. */
import { UPSTREAM_PROTOCOLS, type UpstreamProtocol } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { MOST_FIRST_BYTE_MS, MOST_HOLD_MS, SLOTS_PER_NAME } from '@postern/protocol/limits'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from './duration.ts'

export type Invocation =
  | { readonly kind: 'http'; readonly target: string; readonly flags: HttpFlags }
  /** Help or version: print `text`, and that is all. */
  | { readonly kind: 'told'; readonly text: string }

export interface HttpFlags {
  readonly subdomain?: string
  readonly server?: string
  /** A path, or `-` for standard input. */
  readonly tokenFile?: string
  /** `name:password`, as often as it was given. */
  readonly basicAuth?: readonly string[]
  /** A file of such lines. */
  readonly basicAuthFile?: string
  readonly basicAuthAllowPreflight?: boolean
  /** Paths, or `/path/*`. */
  readonly basicAuthExcept?: readonly string[]
  readonly allowCidr?: readonly string[]
  readonly denyCidr?: readonly string[]
  /** `Name: value`. */
  readonly requestHeaderAdd?: readonly string[]
  readonly requestHeaderRemove?: readonly string[]
  readonly responseHeaderAdd?: readonly string[]
  readonly responseHeaderRemove?: readonly string[]
  readonly hostHeader?: string
  readonly via?: boolean
  readonly upstreamProtocol?: UpstreamProtocol
  /** Milliseconds. */
  readonly hold?: number
  /** Milliseconds; 0: without limit. */
  readonly firstByte?: number
  readonly connections?: number
  readonly pool: boolean
  readonly retry: boolean
  readonly quiet: boolean
}

const EPILOGUE = `
The public URL goes to standard output, alone; everything else to standard error.

Environment: TUNNEL_AGENT_TOKEN, TUNNEL_AGENT_SERVER, TUNNEL_AGENT_CONFIG
Exit codes:  0 closed · 1 unexpected · 2 usage or settings · 3 not authorised
             4 subdomain taken or not allowed · 5 unreachable at first connect · 130 second Ctrl+C`

/**
 * @param argv the arguments alone, without node and script
 * @throws TunnelFault `usage-invalid`; its detail says what to change
 */
export function parseArgs(argv: readonly string[], version: string): Invocation {
  let told = ''
  let invocation: Invocation | undefined
  const say = {
    writeOut: (text: string): void => {
      told += text
    },
    writeErr: () => undefined,
  }

  const program = new Command('tunnel-agent')
    .description('Makes the HTTP server on this machine reachable at a public address.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EPILOGUE)
    .configureOutput(say)
    .exitOverride()

  program
    .command('http')
    .description('open a tunnel to an HTTP server')
    .argument('<target>', 'port, host:port or http://host:port of the local server')
    .option('--subdomain <name>', 'name of the tunnel; without it a random one')
    .option('--server <url>', 'base URL of the tunnel service')
    .option('--token-file <path>', 'file that holds the access token, or - for standard input')
    .option('--basic-auth-file <path>', 'visitors need a name and password: a file with name:password lines')
    .option('--basic-auth <name:password>', 'the same on the command line, where the process list shows it', repeated)
    .option('--basic-auth-allow-preflight', 'CORS preflights need no password; browsers send none with them')
    .option('--basic-auth-except <path>', 'no password for /path, or for all below /path/*; may be repeated', repeated)
    .option('--allow-cidr <network>', 'only visitors from there, such as 10.0.0.0/8; may be repeated', repeated)
    .option('--deny-cidr <network>', 'no visitors from there, whatever is allowed; may be repeated', repeated)
    .option('--request-header-add <field>', "'Name: value' for the local server; may be repeated", repeated)
    .option('--request-header-remove <name>', 'a field that it does not get; may be repeated', repeated)
    .option('--response-header-add <field>', "'Name: value' for visitors; may be repeated", repeated)
    .option('--response-header-remove <name>', 'a field that they do not get; may be repeated', repeated)
    .option('--host-header <how>', 'Host for the local server: preserve, rewrite (to its own address), or a value')
    .option('--no-via', 'no Via for the local server: some, such as nginx, compress nothing for requests that have one')
    .addOption(
      new Option('--upstream-protocol <protocol>', 'what the local server speaks; HTTP/1.1 unless told').choices([
        ...UPSTREAM_PROTOCOLS,
      ]),
    )
    .option(
      '--hold <time>',
      'how long visitors wait while the agent is away: 10s unless told, 0 for not at all',
      parseHold,
    )
    .option(
      '--first-byte <time>',
      'how long visitors wait for the first byte of an answer: 60s unless told, 0 for no limit',
      parseFirstByte,
    )
    .option(
      '--connections <n>',
      'channels to keep open, to different servers of the service where it has several',
      parseConnections,
    )
    .option('--pool', 'share the name with other agents that say so too, instead of taking it from them', false)
    .option('--retry', 'keep trying if the service cannot be reached at first', false)
    .option('--quiet', 'print the URL and errors only', false)
    .addOption(new Option('--token [value]').hideHelp())
    .helpOption('-h, --help', 'print this help')
    .configureOutput(say)
    .exitOverride()
    .action((target: string, options: HttpFlags & { token?: unknown }) => {
      const { token, ...flags } = options
      if (token !== undefined) throw new TunnelFault('usage-invalid', TOKEN_ON_COMMAND_LINE)
      invocation = { kind: 'http', target, flags }
    })

  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'told', text: told }
    throw new TunnelFault('usage-invalid', usageDetail(error))
  }
  if (!invocation) throw new TunnelFault('usage-invalid', usageDetail(undefined))
  return invocation
}

const repeated = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

function parseHold(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms > MOST_HOLD_MS)
    throw new InvalidArgumentError(`It is a time like 10s, 500ms or 0, at most ${MOST_HOLD_MS / 1000}s.`)
  return ms
}

function parseFirstByte(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms > MOST_FIRST_BYTE_MS)
    throw new InvalidArgumentError(`It is a time like 90s, 10m or 0, at most ${MOST_FIRST_BYTE_MS / 60_000}m.`)
  return ms
}

function parseConnections(text: string): number {
  const count = /^\d$/.test(text) ? Number(text) : 0
  if (count < 1 || count > SLOTS_PER_NAME) throw new InvalidArgumentError(`It is a number from 1 to ${SLOTS_PER_NAME}.`)
  return count
}

const TOKEN_ON_COMMAND_LINE =
  'A token on the command line shows in the process list: use --token-file <path or ->, or the variable TUNNEL_AGENT_TOKEN.'

function usageDetail(error: CommanderError | undefined): string {
  if (!error || error.code === 'commander.help') return 'A command is missing: tunnel-agent http <port>.'
  return `${error.message.replace(/^error: /, '').replace(/\.?$/, '.')}`
}
