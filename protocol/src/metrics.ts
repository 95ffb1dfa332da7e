/** Names of what the two planes report of themselves, which whoever watches them must know too. Knows nothing of how it is written down or looked at. */

export const METRIC_NAMESPACE = 'Postern'

/** The values of the dimension `Service`. */
export const SERVICE = { task: 'data-plane', control: 'control-plane', canary: 'canary' } as const

export interface MetricName {
  readonly name: string
  readonly unit: 'Count' | 'Bytes' | 'Milliseconds'
  /** Its dimensions. Each set of their values is a metric that costs money: all come from closed lists. */
  readonly by: readonly ('Service' | 'Operation' | 'Status' | 'Code')[]
}

/**
 * Reported by each task of the data plane, once for each minute. What is nothing is left out, but for the tunnels, whose mean is that of a
 * task; of everything else the sum over all tasks says something, or the greatest.
 */
export const TASK_METRIC = {
  /** Gauge: channels that are open. */
  tunnels: { name: 'Tunnels', unit: 'Count', by: ['Service'] },
  /** Gauge: streams that carry an exchange just then. */
  activeStreams: { name: 'ActiveStreams', unit: 'Count', by: ['Service'] },
  /** Gauge: bytes that wait in channels, for a visitor or for an agent. */
  heldBytes: { name: 'HeldBytes', unit: 'Bytes', by: ['Service'] },
  /** Requests whose head was read on the public port, whatever became of them. */
  requests: { name: 'Requests', unit: 'Count', by: ['Service'] },
  /** Of the requests: those that waited for an agent that was away. */
  held: { name: 'Held', unit: 'Count', by: ['Service'] },
  /** Requests that were sent again, because their stream or channel went before a byte of the response had come; as often as they were. */
  retried: { name: 'Retried', unit: 'Count', by: ['Service'] },
  /** Of the requests: those that were sent on by way of the task that holds their tunnel. */
  hops: { name: 'Hops', unit: 'Count', by: ['Service'] },
  /** Hops that came to nothing: a task that could not be reached, or did not have the tunnel. */
  hopFailures: { name: 'HopFailures', unit: 'Count', by: ['Service'] },
  /** Names that were looked up in the table. */
  lookups: { name: 'Lookups', unit: 'Count', by: ['Service'] },
  /** Gauge: since the task's lease was renewed, where that is later than it should be. */
  leaseAge: { name: 'LeaseAge', unit: 'Milliseconds', by: ['Service'] },
  /** Visitors that got an answer of ours instead of the local server's, or were cut off, by what was the matter. */
  faults: { name: 'Faults', unit: 'Count', by: ['Code'] },
  /** Channels that were welcomed. */
  openings: { name: 'Openings', unit: 'Count', by: ['Service'] },
  /** From the accepted connection to the welcome. At most a hundred values a minute, spread over all of them. */
  openingLatency: { name: 'OpeningLatency', unit: 'Milliseconds', by: ['Service'] },
  /** Openings that came to nothing, by why. */
  openingsRefused: { name: 'OpeningsRefused', unit: 'Count', by: ['Code'] },
  /** Through the channels, from the agents. */
  bytesIn: { name: 'BytesIn', unit: 'Bytes', by: ['Service'] },
  bytesOut: { name: 'BytesOut', unit: 'Bytes', by: ['Service'] },
  /** Channels whose agent opened another one in their place: deploys, balance between tasks, age. */
  agentsMoved: { name: 'AgentsMoved', unit: 'Count', by: ['Service'] },
  /** From being told to stop to the end of the last channel: one value for each task that stops in good order. */
  drainTime: { name: 'DrainTime', unit: 'Milliseconds', by: ['Service'] },
  /** Of the access log: lines that standard output did not take in time. */
  linesDropped: { name: 'AccessLogDropped', unit: 'Count', by: ['Service'] },
} as const satisfies Record<string, MetricName>

/** Reported by the control plane with each answer. */
export const CONTROL_METRIC = {
  calls: { name: 'Calls', unit: 'Count', by: ['Operation', 'Status'] },
  latency: { name: 'Latency', unit: 'Milliseconds', by: ['Operation'] },
  ticketsIssued: { name: 'TicketsIssued', unit: 'Count', by: ['Service'] },
  /** Calls that were answered with a fault, by its code. */
  refusals: { name: 'Refusals', unit: 'Count', by: ['Code'] },
} as const satisfies Record<string, MetricName>

/** Reported by the canary with each knock, once a minute. */
export const CANARY_METRIC = {
  /** 1 or 0. */
  answered: { name: 'CanaryAnswered', unit: 'Count', by: ['Service'] },
  /** Of a knock that was answered: from the question for the name to the last byte. */
  time: { name: 'CanaryTime', unit: 'Milliseconds', by: ['Service'] },
} as const satisfies Record<string, MetricName>
