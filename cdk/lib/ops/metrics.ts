/** What the two planes report of themselves, as metrics of CloudWatch. Knows nothing of who looks. */
import type { FaultCode } from '@postern/protocol/fault'
import {
  CANARY_METRIC,
  CONTROL_METRIC,
  METRIC_NAMESPACE,
  type MetricName,
  SERVICE,
  TASK_METRIC,
} from '@postern/protocol/metrics'
import type { MetricProps } from 'aws-cdk-lib/aws-cloudwatch'

type Named = Pick<MetricProps, 'namespace' | 'metricName' | 'dimensionsMap'> & { namespace: string; metricName: string }

const named = <Name extends MetricName>(
  { name }: Name,
  dimensionsMap: Readonly<Record<Name['by'][number], string>>,
): Named => ({ namespace: METRIC_NAMESPACE, metricName: name, dimensionsMap })

/** Of each task: the mean of a gauge is "per task", the sum of a count is "of all tasks". */
export const ofTasks = (metric: MetricName & { readonly by: readonly ['Service'] }): Named =>
  named(metric, { Service: SERVICE.task })

export const canaryAnswered = named(CANARY_METRIC.answered, { Service: SERVICE.canary })
export const canaryTime = named(CANARY_METRIC.time, { Service: SERVICE.canary })

export const ticketsIssued = named(CONTROL_METRIC.ticketsIssued, { Service: SERVICE.control })
export const ticketLatency = named(CONTROL_METRIC.latency, { Operation: 'issueTicket' })

/** Calls that were answered with this fault. */
export const refusalsOf = (code: FaultCode): Named => named(CONTROL_METRIC.refusals, { Code: code })
/** Visitors that were answered with this fault, or cut off for it. */
export const faultsOf = (code: FaultCode): Named => named(TASK_METRIC.faults, { Code: code })
export const openingsRefusedBy = (code: FaultCode): Named => named(TASK_METRIC.openingsRefused, { Code: code })

/** For a search: all metrics of this name, whatever the values of its dimensions. */
export const allOf = ({ name, by }: MetricName): string => `{${METRIC_NAMESPACE},${by.join(',')}} MetricName="${name}"`
