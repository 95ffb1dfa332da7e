/** What a task has counted, as documents of CloudWatch's embedded metric format. Knows nothing of when, nor of where they go. */
import type { FaultCode } from '@postern/protocol/fault'
import { METRIC_NAMESPACE, type MetricName, SERVICE, TASK_METRIC } from '@postern/protocol/metrics'
import type { Counted } from './task-counts.ts'

/** How things stand. */
export interface Gauges {
  readonly tunnels: number
  readonly activeStreams: number
  readonly heldBytes: number
  /** Milliseconds since the task's lease was renewed; 0 while that is no later than it should be. */
  readonly leaseAge: number
}

type Reading = readonly [metric: MetricName, value: number | readonly number[]]

/**
 * A document for the task and one for each code that occurred, each a line
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 * CloudWatch bills a metric by the hours in which it is told: so what is nothing is not, but for the tunnels, which scaling averages.
 * @param at milliseconds since 1970
 * @param gauges undefined where how things stand says nothing any more
 */
export function metricDocuments(counted: Counted, gauges: Gauges | undefined, at: number): string[] {
  const { faults, openingsRefused } = counted
  const codes = new Set([...faults.keys(), ...openingsRefused.keys()])
  const ofThisTask = ofTask(counted, gauges)
  return [
    ...(ofThisTask.length > 0 ? [document({ Service: SERVICE.task }, ofThisTask, at)] : []),
    ...[...codes].map((code) => document({ Code: code }, ofCode(counted, code), at)),
  ]
}

function ofTask(counted: Counted, gauges: Gauges | undefined) {
  const { requests, held, retried, hops, hopFailures, lookups, openings, openingTimes } = counted
  const { bytesIn, bytesOut, agentsMoved, drainMs, linesDropped } = counted
  const occurring: Reading[] = [
    [TASK_METRIC.requests, requests],
    [TASK_METRIC.held, held],
    [TASK_METRIC.retried, retried],
    [TASK_METRIC.hops, hops],
    [TASK_METRIC.hopFailures, hopFailures],
    [TASK_METRIC.lookups, lookups],
    [TASK_METRIC.openings, openings],
    [TASK_METRIC.bytesIn, bytesIn],
    [TASK_METRIC.bytesOut, bytesOut],
    [TASK_METRIC.agentsMoved, agentsMoved],
    [TASK_METRIC.drainTime, drainMs ?? 0],
    [TASK_METRIC.linesDropped, linesDropped],
    [TASK_METRIC.activeStreams, gauges?.activeStreams ?? 0],
    [TASK_METRIC.heldBytes, gauges?.heldBytes ?? 0],
    [TASK_METRIC.leaseAge, gauges?.leaseAge ?? 0],
  ]
  const readings = occurring.filter(([, value]) => value !== 0)
  if (openingTimes.length > 0) readings.push([TASK_METRIC.openingLatency, openingTimes])
  if (gauges !== undefined) readings.push([TASK_METRIC.tunnels, gauges.tunnels])
  return readings
}

function ofCode({ faults, openingsRefused }: Counted, code: FaultCode): Reading[] {
  const readings: Reading[] = []
  const [fault, refused] = [faults.get(code), openingsRefused.get(code)]
  if (fault !== undefined) readings.push([TASK_METRIC.faults, fault])
  if (refused !== undefined) readings.push([TASK_METRIC.openingsRefused, refused])
  return readings
}

/** All readings have the dimensions that are given. */
function document(dimensions: Readonly<Record<string, string>>, readings: readonly Reading[], at: number): string {
  const directive = {
    Namespace: METRIC_NAMESPACE,
    Dimensions: [Object.keys(dimensions)],
    Metrics: readings.map(([{ name, unit }]) => ({ Name: name, Unit: unit })),
  }
  return `${JSON.stringify({
    _aws: { Timestamp: at, CloudWatchMetrics: [directive] },
    ...dimensions,
    ...Object.fromEntries(readings.map(([{ name }, value]) => [name, value])),
  })}\n`
}
