/** The folder that outlives a run of the local system: table, channel secret, profile. Knows nothing of what is done with them. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { TunnelFault } from '@postern/protocol/fault'
import { newDeploymentSecret } from '@postern/protocol/ticket'

export interface DataFolder {
  /** Where the embedded table keeps its files. */
  readonly table: string
  /** The channel secret of this deployment, and that of the hop between its tasks, made at the first start. */
  readonly channelSecret: string
  readonly hopSecret: string
  /** Of its control plane alone. */
  readonly grantSecret: string
  /** What an agent in this checkout reads: server and token. */
  readonly profile: string
  /** While the system runs: where it is, for whoever administers it. */
  readonly system: string
}

/**
 * Opens the folder, or makes it. Nobody else on this machine may look into it: it holds keys and a token.
 * @throws TunnelFault `config-invalid` where the folder cannot be used
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  try {
    return await openOrMake(path)
  } catch (error) {
    const cause = error as Error
    throw new TunnelFault('config-invalid', `--data ${path}: the folder cannot be used: ${cause.message}.`, { cause })
  }
}

async function openOrMake(path: string): Promise<DataFolder> {
  await makeFolder(path)
  await chmod(path, 0o700)
  const folder = {
    // The number rises when what an earlier version left there could not be read any more: it then starts with an empty one.
    table: join(path, 'table-2'),
    channelSecret: join(path, 'channel-secret.json'),
    hopSecret: join(path, 'hop-secret.json'),
    grantSecret: join(path, 'grant-secret.json'),
    profile: join(path, 'profile.json'),
    system: join(path, 'system.json'),
  }
  for (const secret of [folder.channelSecret, folder.hopSecret, folder.grantSecret])
    if ((await readIfThere(secret)) === undefined) await writePrivate(secret, newDeploymentSecret(randomBytes))
  return folder
}

/** `mkdir` with `recursive` never ends where the parent is there and takes no folders, as /proc. */
async function makeFolder(path: string): Promise<void> {
  const parent = dirname(path)
  if (parent !== path && !existsSync(parent)) await makeFolder(parent)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST'
    if (!isThere || !(await stat(path)).isDirectory()) throw error
  }
}

/** @returns undefined if there is no such file */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Readable for its owner alone from its first byte on, and never half written. */
export async function writePrivate(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${process.pid}.new`
  await writeFile(unfinished, text, { mode: 0o600, flag: 'w' })
  await rename(unfinished, file)
}
