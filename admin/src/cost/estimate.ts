/** What a workload costs in a month, part by part. The whole formula; knows nothing of how it is shown. */
import {
  AUDIT_PURGE_AFTER_MS,
  HEARTBEAT_MS,
  LEASE_RENEW_MS,
  REVOCATION_POLL_MS,
  TASKS_POLL_MS,
  TOKEN_RECHECK_MS,
  TUNNEL_ROW_AGAIN_MS,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import { CAPACITY_UNIT, PRICES, transferOut } from './prices.ts'
import * as uses from './usage.ts'
import { HOURS, SECONDS, type Workload } from './workload.ts'

interface Part {
  readonly service: string
  readonly of: string
  readonly amount: number
  readonly unit: string
  readonly usd: number
}

export interface Estimate {
  readonly workload: Workload
  readonly parts: readonly Part[]
  /** USD a month: the sum of the parts. */
  readonly total: number
}

const DAYS = HOURS / 24
const DAY_MS = 86_400_000
const GB = 1e9
const everyMonth = (intervalMs: number): number => (SECONDS * 1000) / intervalMs

export function estimate(workload: Workload): Estimate {
  const parts = [balancer, tasks, addresses, table, calls, watching, transfer, standing].flatMap((part) =>
    part(workload),
  )
  return { workload, parts, total: parts.reduce((sum, { usd }) => sum + usd, 0) }
}

const part = (service: string, of: string, amount: number, unit: string, each: { usd: number }): Part => ({
  ...{ service, of, amount, unit },
  usd: amount * each.usd,
})

const knocksOf = ({ canary }: Workload): number => (canary ? (SECONDS / 60) * uses.CANARY.knocksPerMinute : 0)
/** Each knock of the canary is one. */
const openingsOf = (workload: Workload): number =>
  workload.tunnels * uses.OPENINGS_PER_TUNNEL_DAY * DAYS + knocksOf(workload)
const heartbeatGb = ({ tunnels }: Workload): number =>
  (tunnels * everyMonth(HEARTBEAT_MS) * uses.HEARTBEAT_BYTES_OUT) / GB

function balancer(workload: Workload): Part[] {
  const { gb, requestsPerSecond, tunnels, domain } = workload
  const connections = requestsPerSecond / uses.REQUESTS_PER_CONNECTION
  const visitors = units(CAPACITY_UNIT[domain ? 'tls' : 'tcp'], {
    newPerSecond: connections,
    active: (connections * VISITOR_IDLE_MS) / 1000,
    gbPerHour: gb / HOURS,
  })
  const channels = units(CAPACITY_UNIT.tcp, {
    newPerSecond: openingsOf(workload) / SECONDS,
    active: tunnels,
    // Heartbeats come in as they go out.
    gbPerHour: (gb + 2 * heartbeatGb(workload)) / HOURS,
  })
  return [
    part('Balancer', 'hours', HOURS, 'hours', PRICES.balancer),
    part('Balancer', 'capacity, visitors', visitors * HOURS, 'NLCU-hours', PRICES.capacityUnit),
    part('Balancer', 'capacity, channels', channels * HOURS, 'NLCU-hours', PRICES.capacityUnit),
  ]
}

type Load = Record<'newPerSecond' | 'active' | 'gbPerHour', number>

/** A listener is billed by its greatest dimension. */
const units = (unit: Load, load: Load): number =>
  Math.max(load.newPerSecond / unit.newPerSecond, load.active / unit.active, load.gbPerHour / unit.gbPerHour)

function tasks({ tasks, taskCpu, taskMemory, architecture }: Workload): Part[] {
  const arm = architecture === 'arm64'
  const cpu = arm ? PRICES.arm64Cpu : PRICES.x86Cpu
  const memory = arm ? PRICES.arm64Memory : PRICES.x86Memory
  return [
    part('Fargate', 'processors', (tasks * taskCpu * HOURS) / 1024, 'vCPU-hours', cpu),
    part('Fargate', 'memory', (tasks * taskMemory * HOURS) / 1024, 'GB-hours', memory),
  ]
}

/** The balancer's, and one of each task: there is no NAT gateway. */
const addresses = ({ tasks }: Workload): Part[] => [
  part('Public IPv4', 'addresses', (uses.ZONES + tasks) * HOURS, 'address-hours', PRICES.address),
]

function table(workload: Workload): Part[] {
  const { tunnels, tasks } = workload
  const openings = openingsOf(workload)
  const writes = (of: string, amount: number): Part => part('DynamoDB', of, amount, 'writes', PRICES.tableWrite)
  const reads = (of: string, amount: number): Part => part('DynamoDB', of, amount, 'reads', PRICES.tableRead)
  const bytes =
    tunnels * uses.BYTES_PER_TUNNEL +
    (openings / DAYS) * (uses.TICKET_DAYS * uses.TICKET_BYTES + (AUDIT_PURGE_AFTER_MS / DAY_MS) * uses.AUDIT_BYTES)
  return [
    writes('task leases', tasks * everyMonth(LEASE_RENEW_MS)),
    reads('revocation polls', tasks * everyMonth(REVOCATION_POLL_MS) * uses.READS_PER_POLL),
    reads('task polls', tasks * everyMonth(TASKS_POLL_MS) * uses.readsPerTaskPoll(tasks)),
    reads('tickets and routes', openings * (uses.OPENING.ticketReads + uses.OPENING.routeReads)),
    writes('tickets and names', openings * (uses.OPENING.ticketWrites + uses.OPENING.nameWrites)),
    writes('routes and audit', openings * (uses.OPENING.routeWrites + uses.OPENING.auditWrites)),
    reads('tokens read again', tunnels * everyMonth(TOKEN_RECHECK_MS)),
    writes('tunnels listed again', tunnels * everyMonth(TUNNEL_ROW_AGAIN_MS)),
    part('DynamoDB', 'storage and recovery', bytes / GB, 'GB-months', {
      usd: PRICES.tableStorage.usd + PRICES.tableBackup.usd,
    }),
  ]
}

const ifAny = (one: Part): Part[] => (one.amount > 0 ? [one] : [])

/** The control plane: one call for each opening. The canary: one for each knock. */
function calls(workload: Workload): Part[] {
  const [openings, knocks] = [openingsOf(workload), knocksOf(workload)]
  return [
    part('HTTP API', 'calls', openings, 'calls', PRICES.apiCall),
    part('Lambda', 'calls', openings, 'calls', PRICES.lambdaCall),
    part('Lambda', 'time', openings * uses.CALL_GB_SECONDS, 'GB-seconds', PRICES.lambdaMemory),
    ...ifAny(part('Lambda', 'canary, calls', knocks, 'calls', PRICES.lambdaCall)),
    ...ifAny(part('Lambda', 'canary, time', knocks * uses.CANARY.gbSeconds, 'GB-seconds', PRICES.lambdaMemory)),
  ]
}

function watching(workload: Workload): Part[] {
  const [openings, knocks] = [openingsOf(workload), knocksOf(workload)]
  const ofCanary = (amount: number): number => (workload.canary ? amount : 0)
  const bytes =
    openings * uses.LOG_BYTES_PER_OPENING +
    workload.tasks * HOURS * uses.LOG_BYTES_PER_TASK_HOUR +
    knocks * uses.CANARY.logBytes
  const logs = bytes / GB
  const busyShare = Math.min(1, openings / HOURS)
  return [
    part('CloudWatch', 'logs', logs, 'GB', {
      usd: PRICES.logs.usd + uses.LOG_MONTHS_KEPT * PRICES.logStorage.usd,
    }),
    part(
      'CloudWatch',
      'metrics',
      uses.STANDING_METRICS + busyShare * uses.CALL_METRICS + ofCanary(uses.CANARY.metrics),
      'metric-months',
      PRICES.metric,
    ),
    part('CloudWatch', 'alarms', uses.ALARM_METRICS + ofCanary(uses.CANARY.alarms), 'metric-months', PRICES.alarm),
    part('CloudWatch', 'dashboard', 1, 'dashboard-month', PRICES.dashboard),
  ]
}

function transfer(workload: Workload): Part[] {
  const heartbeats = heartbeatGb(workload)
  const out = workload.gb + heartbeats
  const crossing = uses.CROSSING_SHARE * (uses.BALANCER_PASSES * workload.gb + 2 * heartbeats)
  return [
    { service: 'Transfer', of: 'out to the internet', amount: out, unit: 'GB', usd: transferOut(out) },
    part('Transfer', 'between zones', crossing, 'GB', PRICES.zoneCrossing),
  ]
}

const standing = ({ domain, canary }: Workload): Part[] => [
  part('Secrets Manager', 'secrets', uses.SECRETS + (canary ? uses.CANARY.secrets : 0), 'secret-months', PRICES.secret),
  part('Route 53', 'hosted zone', domain ? 1 : 0, 'zone-months', PRICES.hostedZone),
]
