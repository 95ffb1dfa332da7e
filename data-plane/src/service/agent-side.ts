/** The side of a task that agents come to: openings, claims, and what is told of each channel. Knows nothing of visitors. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type HopPeer, OpeningCeilings } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import type { WindowBudget } from '@postern/protocol/mux'
import type { Logger } from 'pino'
import { ChannelListener } from '../channel/channel-listener.ts'
import { type ClaimRouteDeps, claimRoute } from '../channel/claim-route.ts'
import { ticketHost } from '../channel/ticket-host.ts'
import type { Tunnel } from '../channel/tunnel.ts'
import type { Config } from '../config.ts'
import type { AuditTrail } from '../ops/audit-trail.ts'
import type { TaskCounts } from '../ops/task-counts.ts'
import type { DataPlaneDeps } from '../plane-deps.ts'
import type { LocalRoutes } from '../route/local-routes.ts'
import type { TableRounds } from './table-rounds.ts'

export interface AgentSideDeps extends Pick<DataPlaneDeps, 'stores' | 'keys' | 'log' | 'clock' | 'now'> {
  readonly config: Config
  readonly self: HopPeer
  readonly budget: WindowBudget
  readonly rounds: Pick<TableRounds, 'view' | 'evictions' | 'watch'>
  readonly routes: LocalRoutes
  readonly counts: TaskCounts
  readonly audit: AuditTrail
  draining(): boolean
  /** A channel that was replaced has had its time: what is left on it is to be ended, and then it. */
  lastStretchOver(tunnel: Tunnel): void
}

export function agentSide(deps: AgentSideDeps): ChannelListener {
  const { config, stores, keys, self, budget, rounds, routes, draining, log, clock, now } = deps
  const claims = claimsOf(deps)
  return new ChannelListener({
    host: ticketHost({
      taskId: self.taskId,
      tickets: stores.tickets,
      keys,
      ipPolicy: config.ipPolicy,
      loopback: config.loopbackIsOne ? 'one' : 'distinct',
      refusal: () => (draining() ? new TunnelFault('server-draining') : undefined),
      clock,
    }),
    proxyProtocol: config.proxyProtocol,
    proxies: config.trustedProxies,
    ceilings: new OpeningCeilings(),
    tunnel: {
      taskId: self.taskId,
      budget,
      now,
      claim: async (ticket, hello, connId) => {
        rounds.watch.admit(ticket)
        return claimRoute(ticket, hello, connId, claims)
      },
      publish: (tunnel) => routes.add(tunnel),
      urlOf: (subdomain) => config.publicUrl.replace('{subdomain}', subdomain),
      newId: randomUUID,
    },
    events: eventsFor(deps, log),
  })
}

function claimsOf({ stores, self, rounds, log, clock, now }: AgentSideDeps): ClaimRouteDeps {
  return {
    routes: stores.routes,
    tunnels: stores.tunnels,
    ...self,
    clock,
    now,
    readLiveTasks: () => rounds.view.liveNow(),
    tell: (loss) => rounds.evictions.tell(loss),
    untold: ({ lost }, fault) => log.warn({ err: fault, connId: lost.connId }, 'a replaced channel was not told'),
    random: Math.random,
    sleep: (ms) => delay(ms),
    unlisted: (row, fault) => log.warn({ err: fault, row }, 'the list of tunnels could not be written'),
  }
}

type ListenerEvents = ConstructorParameters<typeof ChannelListener>[0]['events']

function eventsFor({ counts, audit, lastStretchOver }: AgentSideDeps, log: Logger): ListenerEvents {
  return {
    welcomed: (tunnel, openingMs) => {
      counts.opening(openingMs)
      log.info({ ...tunnelFacts(tunnel), client: tunnel.clientAddress }, 'tunnel open')
      const { username, subdomain } = tunnel.ticket
      audit.ticketUsed({ username, subdomain, ip: tunnel.clientAddress })
    },
    moved: (tunnel) => {
      counts.agentMoved()
      log.info(tunnelFacts(tunnel), 'tunnel moved')
    },
    lastStretchOver,
    streamCrashed: (tunnel, fault) =>
      log.error({ ...tunnelFacts(tunnel), err: fault.cause }, 'a stream ended by an exception'),
    over: (tunnel, { fault, release }) => {
      counts.channelOver(tunnel.traffic)
      log.info({ ...tunnelFacts(tunnel), ...tunnel.traffic, fault: fault?.code, detail: fault?.detail }, 'tunnel over')
      if (release !== undefined) log.warn({ ...tunnelFacts(tunnel), err: release }, 'the route could not be released')
    },
    refused: (fault, address) => {
      counts.openingRefused(fault.code)
      log.info({ fault: fault.code, detail: fault.detail, client: address }, 'opening refused')
    },
  }
}

/** How the log names a tunnel. */
export const tunnelFacts = (tunnel: Tunnel) => ({
  subdomain: tunnel.subdomain,
  username: tunnel.ticket.username,
  connId: tunnel.connId,
  epoch: tunnel.epoch,
})
