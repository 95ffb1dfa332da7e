/** What a command works with. Knows nothing of what any of them does. */
import type { Random } from '@postern/protocol/ticket'
import type { AdminApi } from './admin-api.ts'
import type { Outcome } from './outcome.ts'
import type { Settings, SettingsSources } from './settings.ts'

export interface Session {
  readonly sources: SettingsSources
  /** Calls to the server of the settings, which are read at the first use. */
  api(): Promise<AdminApi>
  /** Calls to a server that is not in the settings yet. */
  apiOf(settings: Settings): AdminApi
  /** Milliseconds since 1970. */
  now(): number
  readonly random: Random
}

export type Run = (session: Session) => Promise<Outcome>
