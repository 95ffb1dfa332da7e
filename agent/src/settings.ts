/** What the agent works with, put together from flags, environment and profile, in this order. Knows no other source. */
import { isIP } from 'node:net'
import { parseSubdomain, type Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { checkToken, Secret } from '@postern/protocol/ticket'
import type { HttpFlags } from './args.ts'
import { type Profile, parseProfile } from './profile.ts'

export interface Settings {
  /** Origin of the control API: `https://base`, or `http://` on loopback. */
  readonly server: string
  readonly token: Secret
  /** Undefined: a random name. */
  readonly subdomain: Subdomain | undefined
}

export interface SettingsSources {
  readonly flags: Pick<HttpFlags, 'server' | 'tokenFile' | 'subdomain'>
  readonly environment: NodeJS.ProcessEnv
  /** The whole of a file as text; rejects as `fs.promises.readFile` does. */
  readFile(path: string): Promise<string>
  /** The whole of standard input. */
  readStandardInput(): Promise<string>
}

/** @throws TunnelFault `config-invalid`, `token-missing`, `token-malformed`, `subdomain-invalid` or `subdomain-reserved` */
export async function readSettings(sources: SettingsSources): Promise<Settings> {
  const { flags, environment } = sources
  const subdomain = flags.subdomain === undefined ? undefined : parseSubdomain(flags.subdomain)
  const profile = await readProfile(sources)
  const named = flags.server ?? nonEmpty(environment.TUNNEL_AGENT_SERVER) ?? profile?.server
  if (named === undefined)
    throw new TunnelFault('config-invalid', 'No server: give --server <url>, or set TUNNEL_AGENT_SERVER.')
  const server = parseServer(named)
  const token = (await readToken(sources)) ?? tokenOf(profile, server)
  if (!token)
    throw new TunnelFault(
      'token-missing',
      `None for ${server}: give --token-file <path or ->, or set TUNNEL_AGENT_TOKEN.`,
    )
  return { server, token, subdomain }
}

/**
 * The origin of a server. A name alone means https. In clear only to this machine: the token would be readable on the way.
 *
 * @throws TunnelFault `config-invalid`
 */
export function parseServer(text: string): string {
  const whole = text.includes('://') ? text : `https://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || !url.hostname) throw badServer(text, 'expected https://<base domain>')
  if (url.username || url.password) throw new TunnelFault('config-invalid', 'The server must not hold credentials.')
  if (url.pathname !== '/' || url.search || url.hash) throw badServer(text, 'expected no path')
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw badServer(text, 'http:// would send the token in clear; only this machine may be spoken to so. Use https://')
  return url.origin
}

/** @param hostname as a URL has it: lower case, IPv4 normalised, IPv6 in brackets */
function isLoopback(hostname: string): boolean {
  if (hostname === '[::1]' || hostname === 'localhost' || hostname.endsWith('.localhost')) return true
  return isIP(hostname) === 4 && hostname.startsWith('127.')
}

async function readToken({ flags, environment, readFile, readStandardInput }: SettingsSources) {
  const { tokenFile } = flags
  const text =
    tokenFile === undefined
      ? nonEmpty(environment.TUNNEL_AGENT_TOKEN)
      : tokenFile === '-'
        ? await readStandardInput()
        : await readNamedFile(tokenFile, readFile)
  if (text === undefined) return undefined
  const token = text.trim()
  checkToken(token)
  return new Secret(token)
}

const tokenOf = (profile: Profile | undefined, server: string): Secret | undefined =>
  profile && parseServer(profile.server) === server ? profile.token : undefined

/** The profile that TUNNEL_AGENT_CONFIG names must be there; the one of a checkout need not be. */
async function readProfile({ environment, readFile }: SettingsSources): Promise<Profile | undefined> {
  const named = nonEmpty(environment.TUNNEL_AGENT_CONFIG)
  if (named !== undefined) return parseProfile(await readNamedFile(named, readFile), named)
  const local = nonEmpty(environment.TUNNEL_AGENT_LOCAL_PROFILE)
  if (local === undefined) return undefined
  try {
    return parseProfile(await readFile(local), local)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function readNamedFile(path: string, readFile: SettingsSources['readFile']): Promise<string> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new TunnelFault('config-invalid', `${path} cannot be read.`, { cause })
  }
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

const badServer = (text: string, why: string): TunnelFault =>
  new TunnelFault('config-invalid', `${JSON.stringify(text)} is no usable server: ${why}.`)
