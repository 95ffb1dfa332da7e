/** What a control plane must be told about its deployment, and what it is handed to work with. */
import type { IpPolicy, Loopback } from '@postern/protocol/address'
import type { Stores } from '@postern/protocol/store'
import type { DeploymentKeys, Random } from '@postern/protocol/ticket'
import type { Context } from 'hono'
import type { Log } from './log.ts'
import type { Measure } from './metrics.ts'
import type { Grants } from './tickets/grants.ts'

export interface Settings {
  /** The base domain, in lower case, without a port. */
  base: string
  /** The address of a tunnel, with `{subdomain}` in it: `https://{subdomain}.example.com`. */
  publicUrl: string
  /** Where agents find the channel server. */
  channelHost: string
  channelPort: number
  ipPolicy: IpPolicy
  /** `one` only where the whole system runs on one machine. */
  loopback?: Loopback
}

export interface ControlDeps {
  stores: Stores
  keys: DeploymentKeys
  grants: Pick<Grants, 'sign'>
  settings: Settings
  /** Milliseconds since 1970. */
  now: () => number
  random: Random
  /** The address of the TCP peer, from whatever serves the app: never from a header. */
  sourceIp: (c: Context) => string | undefined
  /** What the platform calls this request; without it each gets a random id. */
  requestId?: (c: Context) => string | undefined
  /** Without it, one line of JSON per request on stderr. */
  log?: Log
  /** Told of every answer; without it nobody counts. */
  measure?: Measure
}
