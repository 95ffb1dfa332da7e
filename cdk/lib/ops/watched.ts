/** The metrics that people and alarms look at, of whatever stack. Knows nothing of thresholds. */
import { CONTROL_METRIC, TASK_METRIC } from '@postern/protocol/metrics'
import { Duration } from 'aws-cdk-lib'
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch'
import type { Config } from '../config.ts'
import type { ControlStack } from '../control-stack.ts'
import { TASK_PORT } from '../data/ports.ts'
import type { DataStack } from '../data-stack.ts'
import type { StateStack } from '../state-stack.ts'
import {
  allOf,
  canaryAnswered,
  canaryTime,
  faultsOf,
  ofTasks,
  openingsRefusedBy,
  refusalsOf,
  ticketLatency,
  ticketsIssued,
} from './metrics.ts'

const MINUTE = Duration.minutes(1)
const FIVE_MINUTES = Duration.minutes(5)

export interface WatchedProps {
  readonly config: Config
  readonly state: StateStack
  readonly control: ControlStack
  readonly data: DataStack
}

export type Watched = ReturnType<typeof watched>

export function watched({ config, state, control, data }: WatchedProps) {
  const { loadBalancer } = data.balancer
  const samples = { statistic: Stats.SAMPLE_COUNT }
  const sum = { statistic: Stats.SUM, period: FIVE_MINUTES }
  const gauge = (metric: Parameters<typeof ofTasks>[0], statistic: string, label: string) =>
    new Metric({ ...ofTasks(metric), statistic, label, period: MINUTE })
  const count = (metric: Parameters<typeof ofTasks>[0], label: string) =>
    new Metric({ ...ofTasks(metric), ...sum, label })
  const table = (metricName: string) => state.table.metric(metricName, sum)
  return {
    tunnelsPerTask: gauge(TASK_METRIC.tunnels, Stats.AVERAGE, 'tunnels per task'),
    tunnels: gauge(TASK_METRIC.tunnels, Stats.SUM, 'tunnels'),
    activeStreams: gauge(TASK_METRIC.activeStreams, Stats.SUM, 'requests under way'),
    heldBytes: gauge(TASK_METRIC.heldBytes, Stats.MAXIMUM, 'bytes held, fullest task'),
    requests: count(TASK_METRIC.requests, 'requests'),
    held: count(TASK_METRIC.held, 'held for their agent'),
    retried: count(TASK_METRIC.retried, 'sent again'),
    hops: count(TASK_METRIC.hops, 'by a hop'),
    hopShare: new MathExpression({
      expression: '100 * hops / requests',
      usingMetrics: {
        hops: count(TASK_METRIC.hops, 'by a hop'),
        requests: count(TASK_METRIC.requests, 'requests'),
      },
      label: 'by a hop, %',
      period: FIVE_MINUTES,
    }),
    hopFailures: count(TASK_METRIC.hopFailures, 'failed hops'),
    lookups: count(TASK_METRIC.lookups, 'lookups'),
    leaseAge: gauge(TASK_METRIC.leaseAge, Stats.MAXIMUM, 'age of a late lease, ms'),
    faults: search(allOf(TASK_METRIC.faults), 'failed'),
    visitorsExhausted: new Metric({ ...faultsOf('visitors-exhausted'), ...sum, label: 'visitors turned away' }),
    internalErrors: new Metric({ ...faultsOf('internal-error'), ...sum, label: 'internal errors' }),
    bytesIn: count(TASK_METRIC.bytesIn, 'bytes from agents'),
    bytesOut: count(TASK_METRIC.bytesOut, 'bytes to agents'),
    linesDropped: count(TASK_METRIC.linesDropped, 'lines of the access log dropped'),
    openings: count(TASK_METRIC.openings, 'opened'),
    openingsRefused: search(allOf(TASK_METRIC.openingsRefused), 'refused'),
    openingsBusy: new Metric({ ...openingsRefusedBy('server-busy'), ...sum, label: 'openings put off' }),
    openingLatency: new Metric({
      ...ofTasks(TASK_METRIC.openingLatency),
      statistic: Stats.p(99),
      period: FIVE_MINUTES,
      label: 'opening, p99 ms',
    }),
    agentsMoved: new Metric({ ...ofTasks(TASK_METRIC.agentsMoved), ...sum, label: 'agents moved' }),
    drainTime: new Metric({
      ...ofTasks(TASK_METRIC.drainTime),
      statistic: Stats.MAXIMUM,
      period: FIVE_MINUTES,
      label: 'longest drain, ms',
    }),
    healthyTasks: hosts(data, 'HealthyHostCount', 'healthy'),
    unhealthyTasks: hosts(data, 'UnHealthyHostCount', 'unhealthy'),
    // Each task reports its tunnels once a minute, even when it has none: so many values, so many tasks.
    reportingTasks: new MathExpression({
      expression: 'reports / 5',
      usingMetrics: { reports: new Metric({ ...ofTasks(TASK_METRIC.tunnels), ...samples, period: FIVE_MINUTES }) },
      label: 'tasks that report',
      period: FIVE_MINUTES,
    }),
    taskReports: new Metric({ ...ofTasks(TASK_METRIC.tunnels), ...samples, label: 'reports of tasks', period: MINUTE }),
    cpu: data.service.metricCpuUtilization({ period: FIVE_MINUTES, label: 'CPU %' }),
    memory: data.service.metricMemoryUtilization({
      statistic: Stats.MAXIMUM,
      period: FIVE_MINUTES,
      label: 'memory %, fullest task',
    }),
    flows: loadBalancer.metrics.activeFlowCount({ period: MINUTE, label: 'open connections' }),
    newFlows: loadBalancer.metrics.newFlowCount({ ...sum, label: 'new connections' }),
    bytes: loadBalancer.metrics.processedBytes({ ...sum, label: 'bytes' }),
    portErrors: loadBalancer.metrics.custom('PortAllocationErrorCount', sum),
    apiCalls: control.api.metricCount({ ...sum, label: 'calls' }),
    apiClientErrors: control.api.metricClientError({ ...sum, label: '4xx' }),
    apiServerErrors: control.api.metricServerError({ ...sum, label: '5xx' }),
    functionErrors: control.handler.metricErrors({ ...sum, label: 'failed invocations' }),
    functionThrottles: control.handler.metricThrottles({ ...sum, label: 'throttled invocations' }),
    ticketsIssued: new Metric({ ...ticketsIssued, ...sum, label: 'tickets' }),
    ticketLatency: new Metric({
      ...ticketLatency,
      statistic: Stats.p(99),
      period: FIVE_MINUTES,
      label: 'ticket, p99 ms',
    }),
    failedAuthentications: new Metric({ ...refusalsOf('too-many-failures'), ...sum, label: 'limited failures' }),
    refusals: search(allOf(CONTROL_METRIC.refusals), 'refused'),
    tableReads: table('ConsumedReadCapacityUnits'),
    tableWrites: table('ConsumedWriteCapacityUnits'),
    tableThrottles: new MathExpression({
      expression: 'reads + writes',
      usingMetrics: { reads: table('ReadThrottleEvents'), writes: table('WriteThrottleEvents') },
      label: 'throttled',
      period: FIVE_MINUTES,
    }),
    canary:
      config.canaryToken === undefined
        ? undefined
        : {
            answered: new Metric({
              ...canaryAnswered,
              statistic: Stats.MINIMUM,
              period: MINUTE,
              label: 'canary answered',
            }),
            time: new Metric({ ...canaryTime, statistic: Stats.MAXIMUM, period: MINUTE, label: 'canary, ms' }),
          },
    certificateDays: state.domain?.certificate.metricDaysToExpiry(),
  }
}

/**
 * The channel's targets in this state. AWS documents two sets of dimensions, with the zone and without it, and leaves open what each counts where balancing crosses zones.
 * `series`: each as it is recorded. `greatest`: of all, for alarms; a set that is not recorded counts as nought, so that either one alone is enough.
 */
function hosts({ balancer, vpc }: DataStack, metricName: string, state: string) {
  const targets = balancer.targets.get(TASK_PORT.channel)!
  const inAll = targets.metrics.custom(metricName, {
    statistic: Stats.MAXIMUM,
    period: MINUTE,
    label: `${state} tasks`,
  })
  const byZone = vpc.availabilityZones.map((zone, n) =>
    inAll.with({
      dimensionsMap: { ...inAll.dimensions, AvailabilityZone: zone },
      label: `${state} tasks, zone ${n + 1}`,
    }),
  )
  const series = [inAll, ...byZone]
  const usingMetrics = Object.fromEntries(series.map((metric, n) => [`${state}${n}`, metric]))
  const filled = Object.keys(usingMetrics).map((id) => `FILL(${id}, 0)`)
  const expression = `MAX([${filled.join(', ')}])`
  return {
    series,
    greatest: new MathExpression({ expression, usingMetrics, label: `${state} tasks`, period: MINUTE }),
  }
}

/** All metrics that match: those that nobody can list beforehand. */
const search = (what: string, label: string): IMetric =>
  new MathExpression({ expression: `SEARCH('${what}', 'Sum')`, usingMetrics: {}, label, period: FIVE_MINUTES })
