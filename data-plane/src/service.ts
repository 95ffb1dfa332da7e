/** A whole data-plane task: what it is made of, and the order in which it starts and stops. Knows nothing of the process. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo, Server } from 'node:net'
import { hashCredentials, OpeningCeilings } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { CookieFence } from '@postern/protocol/http'
import {
  CREDENTIAL_CHECKS_AT_ONCE,
  DRAIN_END_MS,
  DRAIN_MS,
  FENCE_TICK_MS,
  LEASE_LATE_MS,
  LEASE_RENEW_MS,
  MEMORY_CHECK_MS,
  METRICS_MS,
  REPLACED_CHANNEL_MS,
  REVOCATION_POLL_MS,
  SWEEP_MS,
  TASKS_POLL_MS,
  TOKEN_RECHECK_TICK_MS,
  UPGRADE_END_MS,
  WINDOW_BUDGET_BYTES,
} from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import type { AuditStore, RevocationStore, Stores, TaskStore, TokenStore, TunnelStore } from '@postern/protocol/store'
import type { DeploymentKeys } from '@postern/protocol/ticket'
import type { Logger } from 'pino'
import { ulid } from 'ulid'
import { ChannelListener } from './channel/channel-listener.ts'
import { type ClaimRouteDeps, claimRoute } from './channel/claim-route.ts'
import { Evictions } from './channel/evictions.ts'
import { MemoryGuard, type Yielding } from './channel/memory-guard.ts'
import { moveAgents } from './channel/move-agents.ts'
import { ticketHost } from './channel/ticket-host.ts'
import { Tunnel } from './channel/tunnel.ts'
import { compareClaims } from './cluster/compare-claims.ts'
import { Fence } from './cluster/fence.ts'
import { ownAddress } from './cluster/own-address.ts'
import { PeerListener } from './cluster/peer-listener.ts'
import { Peers } from './cluster/peers.ts'
import { rebalance } from './cluster/rebalance.ts'
import { RemoteRoutes } from './cluster/remote-routes.ts'
import { repeat } from './cluster/repeat.ts'
import { RevocationWatch } from './cluster/revocation-watch.ts'
import { RouteTable } from './cluster/route-table.ts'
import { TaskLease } from './cluster/task-lease.ts'
import { TaskView } from './cluster/task-view.ts'
import { TokenCheck } from './cluster/token-check.ts'
import type { Config } from './config.ts'
import { Dispatcher } from './dispatch/dispatcher.ts'
import { Redirector } from './dispatch/redirector.ts'
import { WaitingRoom, type WaitingRoomDeps } from './dispatch/waiting-room.ts'
import { AccessLog } from './ops/access-log.ts'
import { AuditTrail } from './ops/audit-trail.ts'
import type { LineWriter } from './ops/line-writer.ts'
import type { Gauges } from './ops/metric-documents.ts'
import { reportMetrics } from './ops/metric-report.ts'
import { metricsPage } from './ops/metrics-page.ts'
import { createOpsServer } from './ops/ops-server.ts'
import { TaskCounts } from './ops/task-counts.ts'
import { HopVisitor } from './public/hop-visitor.ts'
import { PublicListener } from './public/public-listener.ts'
import { RequestIds } from './public/request-ids.ts'
import type { RecordKeeper } from './public/request-record.ts'
import { Sweeper } from './public/sweeper.ts'
import type { VisitorContext } from './public/visitor-context.ts'
import { LocalRoutes } from './route/local-routes.ts'
import { SocketRoute } from './route/socket-route.ts'
import { tunnelGate } from './route/tunnel-gate.ts'
import { Turnstile } from './route/turnstile.ts'
import { VERSION } from './version.ts'

/** What a task may do to the table; its role there allows no more. */
export interface PlaneStores extends Pick<Stores, 'tickets' | 'routes'> {
  readonly tokens: Pick<TokenStore, 'find'>
  readonly tasks: Pick<TaskStore, 'renew' | 'end' | 'list' | 'evict' | 'heeded'>
  readonly revocations: Pick<RevocationStore, 'since'>
  readonly tunnels: Pick<TunnelStore, 'put' | 'remove'>
  readonly audit: Pick<AuditStore, 'add'>
}

export interface DataPlaneDeps {
  readonly stores: PlaneStores
  readonly keys: DeploymentKeys
  /** Of the hop; undefined: no other task is asked, nor answered. */
  readonly hopKeys: DeploymentKeys | undefined
  readonly log: Logger
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
  /** Bytes this process may use; ceilings derive from it. */
  readonly memoryLimit: number
  /** Takes the metrics, line by line; undefined where nobody wants them. */
  readonly metrics: ((line: string) => void) | undefined
  /** Takes the access log, if there is to be one, and says how many of its lines it has dropped. */
  readonly lines: Pick<LineWriter, 'begin' | 'flush' | 'dropped'>
}

export interface DataPlane {
  readonly ports: {
    readonly public: number
    readonly redirect: number | undefined
    readonly channel: number
    readonly peer: number | undefined
    readonly ops: number
  }
  /** Resolves when another process has the id of this task: whoever hears it stops this one at once. */
  readonly fenced: Promise<TunnelFault>
  /** Stops in order; what is in flight gets `graceMs`, DRAIN_MS unless told. Harmless when repeated. */
  stop(graceMs?: number): Promise<void>
}

type Readiness = 'starting' | 'ready' | 'draining'

/** @throws TunnelFault `port-taken`; `config-invalid` if another process is this task */
export async function startDataPlane(config: Config, deps: DataPlaneDeps): Promise<DataPlane> {
  const { stores, keys, hopKeys, log, clock, now } = deps
  const bootId = randomUUID()
  const self = { taskId: config.taskId, bootId }
  const budget = new WindowBudget(Math.min(WINDOW_BUDGET_BYTES, deps.memoryLimit / 4))
  let readiness: Readiness = 'starting'

  const counts = new TaskCounts({ standing: () => tunnels(), linesDropped: () => deps.lines.dropped })
  const passwords = {
    key: randomBytes(32),
    turnstile: new Turnstile(CREDENTIAL_CHECKS_AT_ONCE),
    hash: hashCredentials,
    now,
  }
  const routes = new LocalRoutes(now, (rules) => tunnelGate(rules, passwords))
  const tunnels = (): ReadonlySet<Tunnel> => channels.tunnels
  const watch = new RevocationWatch({
    revocations: stores.revocations,
    tunnels,
    unreadable: (cursor) => log.error({ cursor }, 'a revocation cannot be read; was it made by a newer version?'),
    clock,
    now,
  })
  const tokens = new TokenCheck({
    tokens: stores.tokens,
    tunnels,
    now,
    random: Math.random,
    unreadable: (fault) => log.error({ err: fault }, 'a token cannot be read; its tunnels stay'),
  })
  const lease = new TaskLease({
    tasks: stores.tasks,
    task: { ...self, version: VERSION },
    facts: () => ({ addr, draining: readiness === 'draining', tunnels: staying().length }),
    clock,
    now,
  })
  /** Channels that serve and that nobody has asked to move: what this task has to compare with others. */
  const staying = (): Tunnel[] => [...tunnels()].filter((tunnel) => tunnel.serving && !tunnel.askedToMove)
  const own = { taskId: config.taskId, bootId }
  const evictions = new Evictions({ tasks: stores.tasks, ...own, tunnels })
  const view = new TaskView({ tasks: stores.tasks, ...own, now })
  /** Where other tasks reach this one; empty where nothing listens for them. */
  let addr = ''
  const fence = new Fence({
    tunnels,
    compareClaims: () => compareClaims(tunnels(), stores.routes),
    now,
    after,
    closing: (gapMs) =>
      log.warn({ gapMs }, 'this process stood still; nothing is passed on until its tunnels have answered'),
    opening: () => log.info('tunnels have answered, and requests are passed on again'),
  })
  const fenceTick = setInterval(() => fence.tick(), FENCE_TICK_MS)
  void lease.lost.then(() => fence.shut())
  const peers =
    hopKeys &&
    new Peers({
      self,
      keys: hopKeys,
      budget,
      now,
      withdrawn: ({ name, epoch }) => remote.withdrawn(name, epoch),
      failed: ({ taskId }, how, fault) => {
        counts.hopFailed()
        log.warn(
          { peer: taskId, how, fault: fault?.code, detail: fault?.detail },
          'the channel to another task is lost',
        )
      },
    })
  const remote = new RemoteRoutes({
    self,
    table: new RouteTable({
      routes: stores.routes,
      isLive: (row) => row.routeState === 'online' && view.find(row.taskId, row.bootId) !== undefined,
      now,
      counts,
    }),
    tasks: view,
    peers,
    clock,
    now,
    after,
    counts,
  })
  const sweep = setInterval(() => {
    routes.sweep()
    remote.sweep()
    peers?.sweep()
  }, SWEEP_MS)
  const audit = new AuditTrail({
    audit: stores.audit,
    clock,
    newId: () => ulid(),
    lost: (entry, fault) => log.error({ err: fault, entry }, 'an audit entry could not be written'),
  })
  const claims: ClaimRouteDeps = {
    routes: stores.routes,
    tunnels: stores.tunnels,
    ...own,
    clock,
    now,
    readLiveTasks: () => view.liveNow(),
    tell: (loss) => evictions.tell(loss),
    untold: ({ lost }, fault) => log.warn({ err: fault, connId: lost.connId }, 'a replaced channel was not told'),
    random: Math.random,
    sleep: pause,
    unlisted: (row, fault) => log.warn({ err: fault, row }, 'the list of tunnels could not be written'),
  }
  const channels = new ChannelListener({
    host: ticketHost({
      taskId: config.taskId,
      tickets: stores.tickets,
      keys,
      ipPolicy: config.ipPolicy,
      loopback: config.loopbackIsOne ? 'one' : 'distinct',
      refusal: () => (readiness === 'draining' ? new TunnelFault('server-draining') : undefined),
      clock,
    }),
    proxyProtocol: config.proxyProtocol,
    ceilings: new OpeningCeilings(),
    tunnel: {
      taskId: config.taskId,
      budget,
      now,
      claim: async (ticket, hello, connId) => {
        watch.admit(ticket)
        return claimRoute(ticket, hello, connId, claims)
      },
      publish: (tunnel) => routes.add(tunnel),
      urlOf: (subdomain) => config.publicUrl.replace('{subdomain}', subdomain),
      newId: randomUUID,
    },
    events: {
      welcomed: (tunnel, openingMs) => {
        counts.opening(openingMs)
        log.info({ ...facts(tunnel), client: tunnel.clientAddress }, 'tunnel open')
        const { username, subdomain } = tunnel.ticket
        audit.ticketUsed({ username, subdomain, ip: tunnel.clientAddress })
      },
      moved: (tunnel) => {
        counts.agentMoved()
        log.info(facts(tunnel), 'tunnel moved')
      },
      lastStretchOver: (tunnel) => {
        const route = routes.routeOf(tunnel)
        if (route) visitors.endOn(route)
        setTimeout(() => void tunnel.close(), UPGRADE_END_MS)
      },
      over: (tunnel, { fault, release }) => {
        counts.channelOver(tunnel.traffic)
        log.info({ ...facts(tunnel), ...tunnel.traffic, fault: fault?.code, detail: fault?.detail }, 'tunnel over')
        if (release !== undefined) log.warn({ ...facts(tunnel), err: release }, 'the route could not be released')
      },
      refused: (fault, address) => {
        counts.openingRefused(fault.code)
        log.info({ fault: fault.code, detail: fault.detail, client: address }, 'opening refused')
      },
    },
  })
  const memory = new MemoryGuard({
    holders: (): Iterable<Yielding> => [...tunnels(), ...(peerListener?.channels ?? []), ...(peers?.channels ?? [])],
    memoryLimit: deps.memoryLimit,
    reset: (holder) =>
      log.warn(holder instanceof Tunnel ? facts(holder) : {}, 'a stalled stream was reset for want of memory'),
  })
  const memoryCheck = setInterval(() => memory.check(), MEMORY_CHECK_MS)
  const accessLog =
    config.accessLog === 'off'
      ? undefined
      : new AccessLog({
          base: config.base,
          query: config.accessLog === 'with-query',
          lines: deps.lines,
          clock,
          now,
        })
  const recordsOf = (begun: () => void): RecordKeeper => ({
    begun,
    over(record) {
      counts.requestOver(record)
      accessLog?.over(record)
    },
  })
  const context: VisitorContext = {
    dispatcher: new Dispatcher({
      base: config.base,
      routes,
      elsewhere: remote,
      fence,
      room: new WaitingRoom({ routes: whereverItIs(routes, remote), now, after, counts }),
      apex: config.apex && new SocketRoute(config.apex),
    }),
    proto: config.publicUrl.startsWith('https:') ? 'https' : 'http',
    cookies: new CookieFence(config.base),
    newRequestId: new RequestIds(bootId).next,
    failed: (requestId, fault) => log.info({ requestId, fault: fault.code, detail: fault.detail }, 'request failed'),
    records: recordsOf(() => counts.request()),
  }
  const visitors = new PublicListener({
    proxyProtocol: config.proxyProtocol,
    now,
    context,
    refused: (fault, address) => {
      counts.fault(fault.code)
      log.info({ fault: fault.code, detail: fault.detail, client: address }, 'visitor refused')
    },
  })
  const redirecting = (): VisitorContext => ({
    ...context,
    dispatcher: new Redirector(config.base, config.publicUrl),
    proto: 'http',
    // Who is sent on comes again, and is counted then.
    records: recordsOf(() => {}),
  })
  const hopSweeper = new Sweeper(now, SWEEP_MS)
  const hopVisitors = {
    proto: context.proto,
    cookies: context.cookies,
    sweeper: hopSweeper,
    failed: context.failed,
    now,
  }
  const peerListener =
    hopKeys &&
    new PeerListener({
      keys: hopKeys,
      budget,
      now,
      house: {
        routes,
        fence,
        draining: () => stoppingHops,
        judge: (stream, preamble, route, returned) =>
          new HopVisitor(stream, preamble, route, hopVisitors, returned).listener,
      },
      events: {
        opened: ({ taskId }) => log.debug({ peer: taskId }, 'another task has opened a channel'),
        refused: (fault, address) =>
          log.warn({ fault: fault.code, from: address }, 'a channel of another task was refused'),
        over: ({ taskId }, fault) =>
          log.debug({ peer: taskId, fault: fault?.code }, 'the channel of another task is over'),
      },
    })
  let stoppingHops = false
  const gauges = (): Gauges => ({
    tunnels: tunnels().size,
    activeStreams: sumOf(tunnels(), (tunnel) => tunnel.visitorStreams) - routes.idleStreams,
    heldBytes: sumOf(tunnels(), (tunnel) => tunnel.heldBytes),
    leaseAge: lease.age > LEASE_LATE_MS ? Math.round(lease.age) : 0,
  })
  const ops = createOpsServer({
    ready: () => readiness === 'ready',
    metrics: metricsPage({ counts, gauges, visitors: () => visitors.visitors }),
  })

  // What is asked of the table again and again. Out of its reach everything that is open stays open.
  const again = (what: string, everyMs: number, round: () => Promise<void>): (() => Promise<void>) =>
    repeat({
      everyMs,
      round,
      now,
      failed: (fault) => log.warn({ err: fault }, `${what}: nothing usable from the table; tunnels stay as they are`),
      recovered: () => log.info(`${what}: from the table again`),
    })
  const renewLease = async (): Promise<void> => {
    const began = now()
    try {
      await lease.round()
    } finally {
      fence.leaseSettled(began)
    }
  }
  const readTasks = async (): Promise<void> => {
    await view.round()
    await evictions.heedAll(view.own?.evictions)
  }
  let loops: (() => Promise<void>)[] = []
  const giveUpLease = async (): Promise<void> => {
    await Promise.all(loops.map((end) => end()))
    try {
      await lease.end()
    } catch (error) {
      log.warn({ err: error }, 'the lease could not be given up; it ends by itself')
    }
  }

  // Health first, so that whoever watches can see the rest come up.
  const opsPort = await listen(ops.server, config.opsPort, '0.0.0.0')
  let channelPort: number
  let peerPort: number | undefined
  let { publicPort, redirectPort } = config
  try {
    // Other tasks next, because the lease says where they reach this one.
    if (peerListener !== undefined) {
      const host = config.publicHosts[0]!
      peerPort = await listen(peerListener.server, config.peerPort, host)
      const { peerAddress: told, metadataUri } = config
      addr = await ownAddress({ told, host, port: peerPort, metadataUri })
    }
    // The lease next: routes of a task without one are nobody's.
    loops = [
      again('lease', LEASE_RENEW_MS, renewLease),
      again('revocations', REVOCATION_POLL_MS, () => watch.round()),
      again('tokens', TOKEN_RECHECK_TICK_MS, () => tokens.round()),
      again('tasks', TASKS_POLL_MS, readTasks),
    ]
    const refused = await Promise.race([lease.settled, lease.lost])
    if (refused) throw refused
    // Agents before visitors, so that a visitor finds tunnels.
    channelPort = await listen(channels.server, config.channelPort, config.publicHosts[0]!)
    for (const host of config.publicHosts) publicPort = await listen(visitors.createServer(), publicPort, host)
    for (const host of redirectPort === undefined ? [] : config.publicHosts)
      redirectPort = await listen(visitors.createServer(redirecting()), redirectPort!, host)
  } catch (error) {
    await giveUpLease()
    await peerListener?.stop()
    throw error
  }
  readiness = 'ready'
  const endMetrics =
    deps.metrics &&
    reportMetrics({ everyMs: METRICS_MS, take: () => counts.take(), gauges, write: deps.metrics, clock })
  let linesMissed = 0
  const tellMissed = (): void => {
    const lines = deps.lines.dropped - linesMissed
    if (lines > 0) log.warn({ lines }, 'lines of the access log were dropped: standard output does not take them')
    linesMissed += lines
  }
  const missedCheck = setInterval(tellMissed, METRICS_MS)

  const endRebalancing = rebalance({
    staying,
    others: () => view.others.map((task) => task.tunnels),
    askToMove: (tunnel) => tunnel.askToMove(REPLACED_CHANNEL_MS),
    random: Math.random,
  })

  let stopped: Promise<void> | undefined
  const stop = async (graceMs: number): Promise<void> => {
    const began = now()
    // What is open then is ended; the rest of the time is for that, and for the steps behind it.
    const deadline = began + Math.max(0, graceMs - DRAIN_END_MS)
    const left = (): number => Math.max(0, deadline - now())
    // 1. The balancer stops sending, and new channels are told to go elsewhere. It may go on for a while, or may have stopped long before: both
    //    listeners accept until step 3, and whoever comes is served.
    readiness = 'draining'
    endRebalancing()
    // 2. Each agent opens a channel on another task, then leaves this one, whose requests end. Each response is the last on its connection.
    //    With no other task to go to they stay where they are.
    const balanced = config.proxyProtocol === 'required'
    if (left() > 0 && (balanced || view.others.length > 0)) {
      visitors.retire()
      const enough = moveAgents({ tunnels, deadline, now, random: Math.random })
      // A balancer may send new connections for as long as we can be here; nobody else does.
      await (balanced ? pause(left()) : Promise.race([channels.empty(), pause(left())]))
      enough()
    }
    // 3. No further visitors. Requests under way end while their channels still stand; those that do not are ended in time.
    await visitors.drain(graceMs > DRAIN_END_MS ? left() : graceMs, graceMs > DRAIN_END_MS ? DRAIN_END_MS / 2 : 0)
    // 4. Agents that are still here hear GOAWAY; their routes are released.
    await channels.stop()
    counts.drained(now() - began)
    // 4. Other tasks hear it too: what they still sent here is for them to send elsewhere.
    stoppingHops = true
    await Promise.all([peerListener?.stop(), peers?.stop()])
    hopSweeper.stop()
    clearInterval(sweep)
    clearInterval(memoryCheck)
    clearInterval(fenceTick)
    // 5. Nothing is left that a revocation could end or that a lease keeps alive.
    await giveUpLease()
    await audit.settled()
    // 6. What was counted since the last minute, the end of every channel included.
    endMetrics?.()
    clearInterval(missedCheck)
    tellMissed()
    // 7. Health last: until here the process is alive, and says so.
    await ops.stop()
    accessLog?.flush()
  }
  return {
    ports: { public: publicPort, redirect: redirectPort, channel: channelPort, peer: peerPort, ops: opsPort },
    fenced: lease.lost,
    stop: (graceMs = DRAIN_MS) => (stopped ??= stop(graceMs)),
  }
}

/** For requests that wait for an agent: it may come back here or to another task. */
function whereverItIs(here: LocalRoutes, elsewhere: RemoteRoutes): WaitingRoomDeps['routes'] {
  return {
    // What became of a channel of our own is known here better than in the table.
    holdMs: (name) => (here.isAway(name) ? here.holdMs(name) : elsewhere.holdMs(name)),
    whenBack(name, back) {
      const removals = [here.whenBack(name, back), elsewhere.whenBack(name, back)]
      return () => {
        for (const remove of removals) remove()
      }
    },
  }
}

const facts = (tunnel: Tunnel) => ({
  subdomain: tunnel.subdomain,
  username: tunnel.ticket.username,
  connId: tunnel.connId,
  epoch: tunnel.epoch,
})

function sumOf(tunnels: Iterable<Tunnel>, of: (tunnel: Tunnel) => number): number {
  let sum = 0
  for (const tunnel of tunnels) sum += of(tunnel)
  return sum
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

/** Resolves with the port that was bound. */
function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        cause.code === 'EADDRINUSE' ? new TunnelFault('port-taken', `${host}:${port} is in use.`, { cause }) : cause,
      )
    })
    server.listen({ port, host }, () => resolve((server.address() as AddressInfo).port))
  })
}
