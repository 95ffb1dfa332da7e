/** `tunnel-admin bootstrap`: which table it is about, and where the token goes. Knows nothing of what is written there. */
import { resolve } from 'node:path'
import { type LocalSystemFile, parseServer } from '@postern/protocol/client'
import { ENV } from '@postern/protocol/environment'
import { TunnelFault } from '@postern/protocol/fault'
import { Secret } from '@postern/protocol/ticket'
import type { Command } from 'commander'
import type { Place } from '../bootstrap/table-fault.ts'
import type { Outcome } from '../outcome.ts'
import { prepareProfile } from '../profile-file.ts'
import type { Run, Session } from '../session.ts'
import {
  localFolder,
  localProfile,
  namedServer,
  ownProfile,
  readLocalSystem,
  type SettingsSources,
} from '../settings.ts'
import { addCommand } from './option.ts'
import { shownOnce } from './token.ts'

interface Flags {
  readonly table?: string
  /** `true`: the one of this checkout. */
  readonly local?: string | true
  readonly save: boolean
  readonly force: boolean
}

export function addBootstrapCommand(program: Command, does: (run: Run) => void): void {
  addCommand(program, 'bootstrap', 'make the first administrator, straight in the table, with AWS credentials')
    .option('--table <name>', `the table of the deployment (${ENV.table})`)
    .option('--local [folder]', 'the table of the local system that runs here, or with that data folder')
    .option('--save', 'keep the token in the profile instead of printing it', false)
    .option('--force', 'make another token although there is an administrator', false)
    .action((flags: Flags) => does((session) => bootstrap(flags, session)))
}

async function bootstrap({ save, force, ...flags }: Flags, { sources, now, random }: Session): Promise<Outcome> {
  const deployment = await findDeployment(flags, sources)
  // Before the token is made: it could not be shown a second time.
  const server = save ? serverOf(deployment, sources) : undefined
  const file = server === undefined ? undefined : await prepareProfile(profileOf(deployment, sources))
  try {
    // Loaded by this command alone: the SDK takes longer than any other command as a whole.
    const { bootstrapTable } = await import('../bootstrap/bootstrap-table.ts')
    const { token, auditFault } = await bootstrapTable({ place: placeOf(deployment), force, now: now(), random })
    const remark = auditFault === undefined ? '' : `; the audit has no row of it: ${auditFault.message}`
    if (server === undefined || !file) return shownOnce(token, remark)
    const { token: text, ...shown } = token
    await file.keep({ server, token: new Secret(text) })
    const path = profileOf(deployment, sources)
    const further = isFoundBy(deployment, sources) ? '' : `; TUNNEL_ADMIN_CONFIG=${path} uses it`
    return {
      json: shown,
      note: `token ${shown.id} of ${shown.username} for ${server} is kept in ${path}${further}${remark}`,
    }
  } finally {
    await file?.discard()
  }
}

type Deployment =
  | { readonly kind: 'aws'; readonly tableName: string }
  | { readonly kind: 'local'; readonly folder: string; readonly system: LocalSystemFile }

async function findDeployment(
  { table, local }: Pick<Flags, 'table' | 'local'>,
  sources: SettingsSources,
): Promise<Deployment> {
  const { environment, readFile } = sources
  if (table !== undefined && local !== undefined)
    throw new TunnelFault('usage-invalid', 'Either --table or --local, not both.')
  const tableName = table ?? (local === undefined ? environment[ENV.table] : undefined)
  if (tableName) return { kind: 'aws', tableName }
  const folder = typeof local === 'string' ? resolve(local) : localFolder(environment)
  const system = folder === undefined ? undefined : await readLocalSystem(folder, readFile)
  if (folder !== undefined && system) return { kind: 'local', folder, system }
  const missing =
    local === undefined ? 'Which table: give --table <name>, or set POSTERN_TABLE' : 'No local system runs'
  throw new TunnelFault('config-invalid', `${missing}; for the local system, run npm start first.`)
}

const placeOf = (deployment: Deployment): Place =>
  deployment.kind === 'aws'
    ? { tableName: deployment.tableName }
    : { tableName: deployment.system.table.name, endpoint: deployment.system.table.endpoint }

function serverOf(deployment: Deployment, sources: SettingsSources): string {
  const named = namedServer(sources) ?? (deployment.kind === 'local' ? deployment.system.server : undefined)
  if (named !== undefined) return parseServer(named)
  throw new TunnelFault('usage-invalid', '--save keeps the token with its server: give --server <url>.')
}

/** The local system's stays beside its table: a person's own profile is for a service that lasts. */
const profileOf = (deployment: Deployment, sources: SettingsSources): string =>
  deployment.kind === 'local' && !sources.environment.TUNNEL_ADMIN_CONFIG
    ? localProfile(deployment.folder)
    : ownProfile(sources)

/** Whether later calls find the profile by themselves. */
const isFoundBy = (deployment: Deployment, { environment }: SettingsSources): boolean =>
  deployment.kind === 'aws' || deployment.folder === localFolder(environment) || !!environment.TUNNEL_ADMIN_CONFIG
