/** The control plane's app, as the same machine serves it: throttled as on AWS, one address for both loopbacks, errors alone in the log. */
import { randomBytes } from 'node:crypto'
import { createApp, Grants, type Settings } from '@postern/control-plane'
import type { Stores } from '@postern/protocol/store'
import { parseDeploymentKeys } from '@postern/protocol/ticket'
import type { FetchHandler } from './control-server.ts'
import { throttled } from './route-throttle.ts'

export interface LocalControlPlaneOptions {
  readonly stores: Stores
  /** The text of the channel secret that the data plane has too. */
  readonly channelSecret: string
  /** The text of the secret that it alone has. */
  readonly grantSecret: string
  readonly settings: Settings
  /** A call that failed by a fault of ours. */
  complaint(line: string): void
  /** Milliseconds of a clock that does not go back, for the throttle. */
  monotonic?(): number
}

export function localControlPlane({
  stores,
  channelSecret,
  grantSecret,
  settings,
  complaint,
  monotonic = () => performance.now(),
}: LocalControlPlaneOptions): FetchHandler {
  const app = createApp({
    stores,
    keys: parseDeploymentKeys(channelSecret),
    grants: new Grants({ keys: parseDeploymentKeys(grantSecret), stores, now: Date.now }),
    settings,
    now: Date.now,
    random: randomBytes,
    sourceIp: (c) => c.env.sourceIp,
    log: (entry) => {
      if (entry.level === 'error') complaint(JSON.stringify(entry))
    },
  })
  return throttled((request, sourceIp) => app.fetch(request, { sourceIp }), monotonic)
}
