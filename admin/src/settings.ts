/** Which server, and with which token: from flags, environment and profiles, in this order. Knows no other source. */
import { join } from 'node:path'
import {
  type LocalSystemFile,
  type Profile,
  parseLocalSystem,
  parseProfile,
  parseServer,
} from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { checkToken, Secret } from '@postern/protocol/ticket'

export interface CommonFlags {
  readonly server?: string
  /** A path, or `-` for standard input. */
  readonly tokenFile?: string
}

export interface Settings {
  /** Origin of the control API. */
  readonly server: string
  readonly token: Secret
}

export interface SettingsSources {
  readonly flags: CommonFlags
  readonly environment: NodeJS.ProcessEnv
  /** The profile of this person, wherever their platform keeps such files. */
  readonly profilePath: string
  /** The whole of a file as text; rejects as `fs.promises.readFile` does. */
  readFile(path: string): Promise<string>
  /** The whole of standard input. */
  readStandardInput(): Promise<string>
}

/** @throws TunnelFault `config-invalid`, `token-missing` or `token-malformed` */
export async function readSettings(sources: SettingsSources): Promise<Settings> {
  const given = await givenToken(sources)
  const named = namedServer(sources)
  if (given && named !== undefined) return { server: parseServer(named), token: given }
  const profiles = await readProfiles(sources)
  const found = named ?? profiles[0]?.server
  if (found === undefined)
    throw new TunnelFault('config-invalid', 'No server: give --server <url>, set TUNNEL_ADMIN_SERVER, or log in.')
  const server = parseServer(found)
  // A profile's token is for its own server and goes nowhere else.
  const token = given ?? profiles.find((profile) => parseServer(profile.server) === server)?.token
  if (token) return { server, token }
  throw new TunnelFault(
    'token-missing',
    `None for ${server}: give --token-file <path or ->, set TUNNEL_ADMIN_TOKEN, or log in there.`,
  )
}

/** The server that the person named for this call; not yet judged. */
export const namedServer = ({
  flags,
  environment,
}: Pick<SettingsSources, 'flags' | 'environment'>): string | undefined =>
  flags.server ?? nonEmpty(environment.TUNNEL_ADMIN_SERVER)

/** The token that the person gave for this call. @throws TunnelFault `config-invalid` or `token-malformed` */
export async function givenToken(sources: SettingsSources): Promise<Secret | undefined> {
  const { flags, environment, readStandardInput } = sources
  const { tokenFile } = flags
  const text =
    tokenFile === undefined
      ? nonEmpty(environment.TUNNEL_ADMIN_TOKEN)
      : tokenFile === '-'
        ? await readStandardInput()
        : await readNamedFile(tokenFile, sources.readFile)
  if (text === undefined) return undefined
  const token = text.trim()
  checkToken(token)
  return new Secret(token)
}

/** In a checkout, where its local system keeps its files. */
export const localFolder = (environment: NodeJS.ProcessEnv): string | undefined =>
  nonEmpty(environment.TUNNEL_ADMIN_LOCAL_FOLDER)

/** The profile that an administrator of the local system in `folder` has. */
export const localProfile = (folder: string): string => join(folder, 'admin.json')

/** @returns undefined if no local system runs in `folder` */
export async function readLocalSystem(
  folder: string,
  readFile: SettingsSources['readFile'],
): Promise<LocalSystemFile | undefined> {
  const path = join(folder, 'system.json')
  const text = await readIfThere(path, readFile)
  return text === undefined ? undefined : parseLocalSystem(text, path)
}

/**
 * Those there are, the one that counts first: this person's, then the administrator's of the local system, then the one that
 * `npm start` wrote for agents.
 */
async function readProfiles({ environment, profilePath, readFile }: SettingsSources): Promise<Profile[]> {
  const named = nonEmpty(environment.TUNNEL_ADMIN_CONFIG)
  if (named !== undefined) return [parseProfile(await readNamedFile(named, readFile), named)]
  const folder = localFolder(environment)
  const paths = [profilePath, ...(folder === undefined ? [] : [localProfile(folder), join(folder, 'profile.json')])]
  const profiles: Profile[] = []
  for (const path of paths) {
    const text = await readIfThere(path, readFile)
    if (text !== undefined) profiles.push(parseProfile(text, path))
  }
  return profiles
}

async function readIfThere(path: string, readFile: SettingsSources['readFile']): Promise<string | undefined> {
  try {
    return await readFile(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new TunnelFault('config-invalid', `${path} cannot be read.`, { cause })
  }
}

async function readNamedFile(path: string, readFile: SettingsSources['readFile']): Promise<string> {
  const text = await readIfThere(path, readFile)
  if (text === undefined) throw new TunnelFault('config-invalid', `${path} is not there.`)
  return text
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

/** The profile that this person's logins are kept in. */
export const ownProfile = ({
  environment,
  profilePath,
}: Pick<SettingsSources, 'environment' | 'profilePath'>): string =>
  nonEmpty(environment.TUNNEL_ADMIN_CONFIG) ?? profilePath
