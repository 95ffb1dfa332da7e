/** A whole data-plane task: what it is made of, and the order in which it starts and stops. Knows nothing of the process. */
import { randomBytes } from 'node:crypto'
import type { AddressInfo, Server } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { hashCredentials } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import {
  CREDENTIAL_CHECKS_AT_ONCE,
  DRAIN_END_MS,
  DRAIN_MS,
  FENCE_TICK_MS,
  LEASE_LATE_MS,
  MEMORY_CHECK_MS,
  METRICS_MS,
  REPLACED_CHANNEL_MS,
  SWEEP_MS,
  TASKS_POLL_MS,
  UPGRADE_END_MS,
  WINDOW_BUDGET_BYTES,
} from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import { NodeKey } from '@postern/protocol/ticket'
import { ulid } from 'ulid'
import { MemoryGuard, type Yielding } from './channel/memory-guard.ts'
import { moveAgents } from './channel/move-agents.ts'
import { Tunnel } from './channel/tunnel.ts'
import { compareClaims } from './cluster/compare-claims.ts'
import { Fence } from './cluster/fence.ts'
import { ownAddress } from './cluster/own-address.ts'
import { rebalance } from './cluster/rebalance.ts'
import type { Config } from './config.ts'
import { AuditTrail } from './ops/audit-trail.ts'
import type { Gauges } from './ops/metric-documents.ts'
import { reportMetrics } from './ops/metric-report.ts'
import { metricsPage } from './ops/metrics-page.ts'
import { createOpsServer } from './ops/ops-server.ts'
import { TaskCounts } from './ops/task-counts.ts'
import type { DataPlaneDeps } from './plane-deps.ts'
import { LocalRoutes } from './route/local-routes.ts'
import { QueuePlaces } from './route/queue-places.ts'
import type { Route } from './route/route.ts'
import { tunnelGate } from './route/tunnel-gate.ts'
import { Turnstile } from './route/turnstile.ts'
import { WrongPasswords } from './route/wrong-passwords.ts'
import { agentSide, tunnelFacts } from './service/agent-side.ts'
import { PeerSide } from './service/peer-side.ts'
import { TableRounds } from './service/table-rounds.ts'
import { visitorSide } from './service/visitor-side.ts'

export type { PlaneStores } from './plane-deps.ts'

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
  const { stores, log, clock, now } = deps
  const nodeKey = new NodeKey()
  const self = { taskId: config.taskId, bootId: nodeKey.bootId }
  const budget = new WindowBudget(Math.min(WINDOW_BUDGET_BYTES, deps.memoryLimit / 4))
  let readiness: Readiness = 'starting'
  /** Where other tasks reach this one; empty where nothing listens for them. */
  let addr = ''

  const tunnels = (): ReadonlySet<Tunnel> => agents.tunnels
  /** Channels that serve and that nobody has asked to move: what this task has to compare with others. */
  const staying = (): Tunnel[] => [...tunnels()].filter((tunnel) => tunnel.serving && !tunnel.askedToMove)
  const counts = new TaskCounts({ standing: tunnels, linesDropped: () => deps.lines.dropped })
  const gates = {
    keys: deps.keys,
    clock,
    key: randomBytes(32),
    turnstile: new Turnstile(CREDENTIAL_CHECKS_AT_ONCE),
    wrongPasswords: new WrongPasswords(now),
    hash: hashCredentials,
    now,
  }
  const places = new QueuePlaces()
  const routes = new LocalRoutes(now, (name, rules) => tunnelGate(name, rules, gates), places)
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
  const rounds = new TableRounds({
    ...deps,
    self,
    tunnels,
    facts: () => ({ addr, draining: readiness === 'draining', tunnels: staying().length }),
    fence,
  })
  const { lease, view } = rounds
  const peers = new PeerSide({
    ...deps,
    self,
    nodeKey,
    watch: rounds.watch,
    ownAddr: () => addr,
    budget,
    view,
    counts,
    after,
    claiming: (name) => [...tunnels()].some(({ claiming, subdomain }) => claiming && subdomain === name),
    endOn,
    places,
  })
  const sweep = setInterval(() => {
    routes.sweep()
    peers.sweep()
  }, SWEEP_MS)
  const audit = new AuditTrail({
    audit: stores.nodeAudit,
    clock,
    newId: () => ulid(),
    lost: (entry, fault) => log.error({ err: fault, entry }, 'an audit entry could not be written'),
  })
  const agents = agentSide({
    ...deps,
    ...{ config, self, budget, rounds, routes, counts, audit },
    draining: () => readiness === 'draining',
    lastStretchOver: (tunnel) => {
      const route = routes.routeOf(tunnel)
      if (route) endOn(route)
      if (tunnel.epoch !== undefined) peerListener?.ending({ name: tunnel.subdomain, epoch: tunnel.epoch })
      setTimeout(() => void tunnel.close(), UPGRADE_END_MS)
    },
  })
  const holders = (): Iterable<Yielding> => [...tunnels(), ...peers.shares]
  const memory = new MemoryGuard({
    holders,
    memoryLimit: deps.memoryLimit,
    reset: (holder) =>
      log.warn(
        holder instanceof Tunnel ? tunnelFacts(holder) : { username: holder.tenant },
        'a stalled stream was reset for want of memory',
      ),
  })
  const memoryCheck = setInterval(() => memory.check(), MEMORY_CHECK_MS)
  const { remote } = peers
  const visitors = visitorSide({ ...deps, config, bootId: self.bootId, routes, remote, fence, counts, after })
  const peerListener = peers.listener({ routes, fence, judge: visitors.judge })
  const gauges = (): Gauges => ({
    tunnels: tunnels().size,
    activeStreams: sumOf(tunnels(), (tunnel) => tunnel.visitorStreams) - routes.idleStreams,
    heldBytes: sumOf(holders(), ({ heldBytes }) => heldBytes),
    leaseAge: lease.age > LEASE_LATE_MS ? Math.round(lease.age) : 0,
  })
  const ops = createOpsServer({
    ready: () => readiness === 'ready',
    metrics: metricsPage({ counts, gauges, visitors: () => visitors.listener.visitors }),
  })

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
    await rounds.begin()
    // Agents before visitors, so that a visitor finds tunnels.
    channelPort = await listen(agents.server, config.channelPort, config.channelAddress ?? config.publicHosts[0]!)
    const { listener, redirecting } = visitors
    for (const host of config.publicHosts) publicPort = await listen(listener.createServer(), publicPort, host)
    for (const host of redirectPort === undefined ? [] : config.publicHosts)
      redirectPort = await listen(listener.createServer(redirecting), redirectPort!, host)
  } catch (error) {
    await rounds.end()
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

  /** Whether there is another task for agents to go to. One that has just started, to take the place of this one, may not have been read yet. */
  const hasOthers = async (): Promise<boolean> => {
    // Without the table's answer it is as it was.
    const round = view.others.length === 0 ? view.round().catch(() => {}) : undefined
    if (round !== undefined) await atMost(TASKS_POLL_MS, round)
    return view.others.length > 0
  }

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
    if (left() > 0 && (balanced || (await hasOthers()))) {
      visitors.listener.disableKeepAlive()
      const enough = moveAgents({ tunnels, deadline, now, random: Math.random })
      // A balancer may send new connections for as long as we can be here; nobody else does.
      await (balanced ? pause(left()) : atMost(left(), agents.empty()))
      enough()
    }
    // 3. No further visitors. Requests under way end while their channels still stand; those that do not are ended in time, by the task that
    //    their visitor came to.
    const [forRequests, forEnding] = graceMs > DRAIN_END_MS ? [left(), DRAIN_END_MS / 2] : [graceMs, 0]
    await Promise.all([visitors.listener.drain(forRequests, forEnding), peerListener?.drain(forRequests, forEnding)])
    // 4. Agents that are still here hear GOAWAY; their routes are released.
    await agents.stop()
    counts.drained(now() - began)
    // 5. The channels between tasks, by which nothing comes any more.
    await peers.stop()
    clearInterval(sweep)
    clearInterval(memoryCheck)
    clearInterval(fenceTick)
    // 6. Nothing is left that a revocation could end or that a lease keeps alive.
    await rounds.end()
    await audit.settled()
    // 7. What was counted since the last minute, the end of every channel included.
    endMetrics?.()
    clearInterval(missedCheck)
    tellMissed()
    // 8. Health last: until here the process is alive, and says so.
    await ops.stop()
    visitors.stop()
  }
  return {
    ports: { public: publicPort, redirect: redirectPort, channel: channelPort, peer: peerPort, ops: opsPort },
    fenced: lease.lost,
    stop: (graceMs = DRAIN_MS) => (stopped ??= stop(graceMs)),
  }
}

function sumOf<T>(items: Iterable<T>, of: (item: T) => number): number {
  let sum = 0
  for (const item of items) sum += of(item)
  return sum
}

/** What is open on this route ends as at the end of a drain. */
function endOn({ users }: Route): void {
  for (const user of users ?? []) user.terminate()
}

function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

/** Waits for the event, and no longer than this. Its timer does not outlive the wait. */
async function atMost(ms: number, event: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  await Promise.race([event, pause(ms, undefined, { signal: over.signal })]).finally(() => over.abort())
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
