/** What is counted of every answer, as lines of CloudWatch's embedded metric format. Knows nothing of how an answer came about. */
import type { OperationId } from '@postern/protocol/api'
import type { FaultCode } from '@postern/protocol/fault'

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

const NAMESPACE = 'Postern'
const TICKETS: ReadonlySet<string> = new Set<OperationId>(['issueTicket', 'issueTicketAtRoot'])

const directive = (dimensions: string[], name: string, unit: 'Count' | 'Milliseconds') => ({
  Namespace: NAMESPACE,
  Dimensions: [dimensions],
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
      directive(['Operation', 'Status'], 'Calls', 'Count'),
      directive(['Operation'], 'Latency', 'Milliseconds'),
      ...(isTicket ? [directive(['Service'], 'TicketsIssued', 'Count')] : []),
      ...(code === undefined ? [] : [directive(['Code'], 'Refusals', 'Count')]),
    ]
    const document = {
      _aws: { Timestamp: now(), CloudWatchMetrics: directives },
      Service: 'control-plane',
      Operation: operation,
      // The class alone: which status of it was answered is told by the code.
      Status: `${Math.floor(status / 100)}xx`,
      Calls: 1,
      Latency: ms,
      ...(isTicket && { TicketsIssued: 1 }),
      ...(code !== undefined && { Code: code, Refusals: 1 }),
      requestId,
    }
    stream.write(`${JSON.stringify(document)}\n`)
  }
