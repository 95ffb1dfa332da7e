/** What the two planes report of themselves in CloudWatch's embedded metric format, by name. Knows nothing of who looks. */
import type { FaultCode } from '@postern/protocol/fault'
import type { MetricProps } from 'aws-cdk-lib/aws-cloudwatch'

type Named = Pick<MetricProps, 'namespace' | 'metricName' | 'dimensionsMap'> & { namespace: string; metricName: string }

const named = (metricName: string, dimensionsMap: Record<string, string>): Named => ({
  namespace: 'Postern',
  metricName,
  dimensionsMap,
})

/** Reported by each task, every minute: the mean of a gauge is "per task", the sum of a count is "of all tasks". */
export const TASK_METRIC = {
  /** Gauge: channels that are open now. */
  tunnels: named('Tunnels', { Service: 'data-plane' }),
} as const

/** Reported by the control plane with each answer. */
export const CONTROL_METRIC = {
  ticketsIssued: named('TicketsIssued', { Service: 'control-plane' }),
  ticketLatency: named('Latency', { Operation: 'issueTicket' }),
} as const

/** Calls that were answered with this fault. */
export const refusalsOf = (code: FaultCode): Named => named('Refusals', { Code: code })
