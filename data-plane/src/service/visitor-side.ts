/** The side of a task that visitors come to: where a request is sent, what is noted of it, what came by http and shall come by https. Knows nothing of channels. */
import { CookieFence } from '@postern/protocol/http'
import { SWEEP_MS } from '@postern/protocol/limits'
import type { Fence } from '../cluster/fence.ts'
import type { HopHouse } from '../cluster/incoming-hop.ts'
import type { RemoteRoutes } from '../cluster/remote-routes.ts'
import type { Config } from '../config.ts'
import { Dispatcher } from '../dispatch/dispatcher.ts'
import { NestedNames } from '../dispatch/nested-names.ts'
import { Redirector } from '../dispatch/redirector.ts'
import { WaitingRoom, type WaitingRoomDeps } from '../dispatch/waiting-room.ts'
import { PeerStream, type PeerStreamContext } from '../inbound/peer-stream.ts'
import { PublicListener } from '../inbound/public-listener.ts'
import { Sweeper } from '../inbound/sweeper.ts'
import { AccessLog } from '../ops/access-log.ts'
import type { TaskCounts } from '../ops/task-counts.ts'
import type { DataPlaneDeps } from '../plane-deps.ts'
import type { ProxyContext } from '../proxy/proxy-context.ts'
import { RequestIds } from '../proxy/request-ids.ts'
import type { RecordKeeper } from '../proxy/request-record.ts'
import type { LocalRoutes } from '../route/local-routes.ts'
import { SocketRoute } from '../route/socket-route.ts'

export interface VisitorSideDeps extends Pick<DataPlaneDeps, 'log' | 'lines' | 'clock' | 'now'> {
  readonly config: Config
  readonly bootId: string
  readonly routes: LocalRoutes
  readonly remote: RemoteRoutes
  readonly fence: Fence
  readonly counts: TaskCounts
  /** Runs once after so many milliseconds. Returns the removal. */
  after(ms: number, run: () => void): () => void
}

export interface VisitorSide {
  readonly listener: PublicListener
  /** For servers whose visitors are sent on to https. */
  readonly redirecting: ProxyContext
  /** Requests of other tasks' visitors for tunnels with rules. */
  readonly judge: HopHouse['judge']
  /** When no visitor is left, here or by a hop: writes out what is still to be written. */
  stop(): void
}

export function visitorSide({
  config,
  bootId,
  routes,
  remote,
  fence,
  counts,
  after,
  ...deps
}: VisitorSideDeps): VisitorSide {
  const { log, lines, clock, now } = deps
  const query = config.accessLog === 'with-query'
  const accessLog =
    config.accessLog === 'off' ? undefined : new AccessLog({ base: config.base, query, lines, clock, now })
  const recordsOf = (begun: () => void): RecordKeeper => ({
    begun,
    over(record) {
      counts.requestOver(record)
      accessLog?.over(record)
    },
  })
  const nested = new NestedNames(config.base, config.nestedNames)
  const context: ProxyContext = {
    dispatcher: new Dispatcher({
      base: config.base,
      nested,
      routes,
      elsewhere: remote,
      fence,
      room: new WaitingRoom({ routes: whereverItIs(routes, remote), now, after, counts }),
      apex: config.apex && new SocketRoute(config.apex),
    }),
    proto: config.publicUrl.startsWith('https:') ? 'https' : 'http',
    cookies: new CookieFence(config.base),
    newRequestId: new RequestIds(bootId).next,
    failed(requestId, fault) {
      // A defect of ours, for which the stack is needed.
      if (fault.code === 'internal-error') log.error({ requestId, err: fault.cause ?? fault }, 'request failed')
      else log.info({ requestId, fault: fault.code, detail: fault.detail }, 'request failed')
    },
    records: recordsOf(() => counts.request()),
  }
  const crashed = (error: unknown): void => {
    counts.fault('internal-error')
    log.error({ err: error }, 'a connection ended by an exception')
  }
  const listener = new PublicListener({
    crashed,
    proxyProtocol: config.proxyProtocol,
    proxies: config.trustedProxies,
    now,
    awake: () => fence.awake(),
    context,
    refused: (fault, address) => {
      counts.fault(fault.code)
      log.info({ fault: fault.code, detail: fault.detail, client: address }, 'visitor refused')
    },
  })
  const { proto, cookies, failed } = context
  const sweeper = new Sweeper(() => fence.awake(), SWEEP_MS, crashed)
  const peerStreams: PeerStreamContext = { proto, cookies, sweeper, failed, now }
  return {
    listener,
    redirecting: {
      ...context,
      dispatcher: new Redirector(config.base, config.publicUrl, nested),
      proto: 'http',
      // Who is sent on comes again, and is counted then.
      records: recordsOf(() => {}),
    },
    judge: (stream, preamble, route, returned) =>
      new PeerStream(stream, preamble, route, peerStreams, returned).listener,
    stop() {
      sweeper.stop()
      accessLog?.flush()
    },
  }
}

/** For requests that wait for an agent: it may come back here or to another task. */
function whereverItIs(here: LocalRoutes, elsewhere: RemoteRoutes): WaitingRoomDeps['routes'] {
  return {
    // What became of a channel of our own is known here better than in the table.
    holdMs: (name) => (here.isAway(name) ? here.holdMs(name) : elsewhere.holdMs(name)),
    tenantOf: (name) => (here.isAway(name) ? here.tenantOf(name) : elsewhere.tenantOf(name)),
    whenBack(name, back) {
      const removals = [here.whenBack(name, back), elsewhere.whenBack(name, back)]
      return () => {
        for (const remove of removals) remove()
      }
    },
  }
}
