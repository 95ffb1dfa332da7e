/** What the agent works with, put together from flags, environment and profile, in this order. Knows no other source. */
import { parseSubdomain, type Subdomain } from '@postern/protocol/address'
import { type Profile, parseProfile, parseServer } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { checkToken, Secret } from '@postern/protocol/ticket'
import type { HttpFlags } from './args.ts'
import type { FieldChanges, VisitorOptions } from './visitor-options.ts'

export interface Settings {
  /** Origin of the control API: `https://base`, or `http://` on loopback. */
  readonly server: string
  readonly token: Secret
  /** Undefined: a random name. */
  readonly subdomain: Subdomain | undefined
  readonly visitors: VisitorOptions
}

export interface SettingsSources {
  readonly flags: Omit<HttpFlags, 'retry' | 'quiet' | 'pool'>
  readonly environment: NodeJS.ProcessEnv
  /** The whole of a file as text; rejects as `fs.promises.readFile` does. */
  readFile(path: string): Promise<string>
  /** The whole of standard input. */
  readStandardInput(): Promise<string>
}

/** @throws TunnelFault `config-invalid`, `usage-invalid`, `token-missing`, `token-malformed`, `subdomain-invalid` or `subdomain-reserved` */
export async function readSettings(sources: SettingsSources): Promise<Settings> {
  const { flags, environment } = sources
  const subdomain = flags.subdomain === undefined ? undefined : parseSubdomain(flags.subdomain)
  const visitors = await readVisitorOptions(sources)
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
  return { server, token, subdomain, visitors }
}

async function readVisitorOptions({ flags, readFile }: SettingsSources): Promise<VisitorOptions> {
  const { basicAuth, basicAuthFile, basicAuthAllowPreflight, basicAuthExcept, allowCidr, denyCidr, hostHeader } = flags
  const fromFile = basicAuthFile === undefined ? undefined : credentialsIn(await readNamedFile(basicAuthFile, readFile))
  return {
    basicAuth: basicAuth || fromFile ? [...(basicAuth ?? []), ...(fromFile ?? [])] : undefined,
    basicAuthAllowPreflight,
    basicAuthExcept,
    allowCidr,
    denyCidr,
    requestHeaders: changesOf(flags.requestHeaderAdd, flags.requestHeaderRemove),
    responseHeaders: changesOf(flags.responseHeaderAdd, flags.responseHeaderRemove),
    hostHeader,
    via: flags.via,
  }
}

/** One `name:password` a line; empty lines count for nothing. */
const credentialsIn = (text: string): string[] => text.split(/\r?\n/).filter((line) => line !== '')

function changesOf(add: readonly string[] | undefined, remove: readonly string[] | undefined) {
  if (!add && !remove) return undefined
  return { add: add?.map(fieldOf), remove } satisfies FieldChanges
}

function fieldOf(text: string): readonly [name: string, value: string] {
  const colon = text.indexOf(':')
  if (colon < 0) throw new TunnelFault('usage-invalid', `${JSON.stringify(text)}: expected 'Name: value'.`)
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
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
