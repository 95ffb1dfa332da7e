/** What is counted of every answer, as lines of CloudWatch's embedded metric format. Knows nothing of how an answer came about. */
import type { OperationId } from '@postern/protocol/api'
import type { FaultCode } from '@postern/protocol/fault'
import { CONTROL_METRIC, METRIC_NAMESPACE, type MetricName, SERVICE } from '@postern/protocol/metrics'

export interface Measured {
  /** `none` where no operation answers at the address. */
  operation: OperationId | 'none'
  status: number
  code: FaultCode | undefined
  /** Milliseconds from the request to its answer. */
  ms: number
  requestId: string
}

export type Measure = (measured: Measured) => void

const TICKETS: ReadonlySet<string> = new Set<OperationId>(['issueTicket', 'issueTicketAtRoot'])

const directive = ({ name, unit, by }: MetricName) => ({
  Namespace: METRIC_NAMESPACE,
  Dimensions: [by],
  Metrics: [{ Name: name, Unit: unit }],
})

/**
 * Writes one document of the format for each answer
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 * Every dimension is out of a closed list, because each set of their values is a metric that costs money: users, names and
 * addresses are in the log.
 */
export const embeddedMetrics =
  (stream: { write(line: string): unknown }, now: () => number): Measure =>
  ({ operation, status, code, ms, requestId }) => {
    const isTicket = TICKETS.has(operation) && status === 200
    const directives = [
      directive(CONTROL_METRIC.calls),
      directive(CONTROL_METRIC.latency),
      ...(isTicket ? [directive(CONTROL_METRIC.ticketsIssued)] : []),
      ...(code === undefined ? [] : [directive(CONTROL_METRIC.refusals)]),
    ]
    const document = {
      _aws: { Timestamp: now(), CloudWatchMetrics: directives },
      Service: SERVICE.control,
      Operation: operation,
      // The class alone: which status of it was answered is told by the code.
      Status: `${Math.floor(status / 100)}xx`,
      [CONTROL_METRIC.calls.name]: 1,
      [CONTROL_METRIC.latency.name]: ms,
      ...(isTicket && { [CONTROL_METRIC.ticketsIssued.name]: 1 }),
      ...(code !== undefined && { Code: code, [CONTROL_METRIC.refusals.name]: 1 }),
      requestId,
    }
    stream.write(`${JSON.stringify(document)}\n`)
  }
