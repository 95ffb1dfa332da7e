/** What a deployment has to carry, and how many tasks that takes. Knows nothing of prices. */
import { TunnelFault } from '@postern/protocol/fault'

export const HOURS = 730
export const SECONDS = HOURS * 3600
/** A response of a web page's parts, for whoever gives the gigabytes alone. */
const BYTES_PER_REQUEST = 50_000
/** Two outlive the loss of one. */
const LEAST_TASKS = 2
/** The target of scaling: so many for a whole processor (cdk/lib/data/service.ts). */
const TUNNELS_PER_VCPU = 1000
/** Scaling's other target. */
const CPU_SHARE = 0.6
/** Of the data plane, where nothing can be batched: its dearest case in docs/benchmarks.md. */
const CPU_SECONDS_PER_REQUEST = 57e-6
const CPU_SECONDS_PER_GB = 0.94

export interface Workload {
  /** Open all month. */
  readonly tunnels: number
  /** To visitors, in a month: responses. */
  readonly gb: number
  readonly requestsPerSecond: number
  readonly tasks: number
  /** In 1/1024 of a vCPU. */
  readonly taskCpu: number
  /** In MiB. */
  readonly taskMemory: number
  readonly architecture: 'arm64' | 'x86_64'
  /** Without one: visitors by TCP instead of TLS, and no hosted zone. */
  readonly domain: boolean
  /** Whether the deployment has a canary. */
  readonly canary: boolean
}

export type WorkloadAsked = Omit<Workload, 'tasks' | 'requestsPerSecond' | 'canary'> &
  Partial<Pick<Workload, 'tasks' | 'requestsPerSecond' | 'canary'>>

/** @throws TunnelFault `usage-invalid` */
export function workloadOf(asked: WorkloadAsked): Workload {
  const requestsPerSecond = asked.requestsPerSecond ?? (asked.gb * 1e9) / BYTES_PER_REQUEST / SECONDS
  const tasks = asked.tasks ?? tasksFor({ ...asked, requestsPerSecond })
  if (tasks < 1) throw new TunnelFault('usage-invalid', 'At least one task runs.')
  return { ...asked, requestsPerSecond, tasks, canary: asked.canary ?? false }
}

/** As scaling would have it, by the averages of a month. */
function tasksFor({ tunnels, gb, requestsPerSecond, taskCpu }: Omit<Workload, 'tasks' | 'canary'>): number {
  const vcpu = taskCpu / 1024
  const cpu = requestsPerSecond * CPU_SECONDS_PER_REQUEST + (gb / SECONDS) * CPU_SECONDS_PER_GB
  return Math.max(LEAST_TASKS, Math.ceil(tunnels / (TUNNELS_PER_VCPU * vcpu)), Math.ceil(cpu / (CPU_SHARE * vcpu)))
}
