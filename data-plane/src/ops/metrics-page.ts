/** What a task has counted and how it stands, as Prometheus reads it. Asked only when somebody reads: until then numbers are added to elsewhere. */
import { EVENT_LOOP_LOOK_MS } from '@postern/protocol/limits'
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { Histogram } from './histogram.ts'
import type { Gauges } from './metric-documents.ts'
import type { TaskCounts } from './task-counts.ts'

export interface MetricsPageDeps {
  readonly counts: TaskCounts
  gauges(): Gauges
  /** Connections of visitors. */
  visitors(): number
}

export interface MetricsPage {
  readonly contentType: string
  text(): Promise<string>
}

/**
 * Labels come from closed lists: a status class, a direction, a fault's code. Nothing here is named after a tunnel, an account or a path, of which there can be
 * any number. Durations are in seconds, as Prometheus asks for (https://prometheus.io/docs/practices/naming/).
 */
export function metricsPage({ counts, gauges, visitors }: MetricsPageDeps): MetricsPage {
  const registry = new Registry()
  const registers = [registry]

  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
  const counters = <L extends string>(
    name: string,
    help: string,
    label: L,
    read: () => Iterable<readonly [string, number]>,
  ): void => {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, count] of read()) this.inc({ [label]: value } as Record<L, string>, count)
      },
    })
  }
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }

  counters('postern_requests_total', 'Requests that are over, by the class of their status.', 'class', () =>
    classes(counts.overByClass),
  )
  counter('postern_request_heads_total', 'Requests whose head was read.', () => counts.totals().requests)
  counter('postern_requests_held_total', 'Requests that waited for an agent that was away.', () => counts.totals().held)
  counter(
    'postern_requests_retried_total',
    'Times that a request was sent again, before a byte of its response had come.',
    () => counts.totals().retried,
  )
  counter(
    'postern_hops_total',
    'Requests that were sent on to the task that has their tunnel.',
    () => counts.totals().hops,
  )
  counter('postern_hop_failures_total', 'Hops that came to nothing.', () => counts.totals().hopFailures)
  counter('postern_route_lookups_total', 'Names that were looked up in the table.', () => counts.totals().lookups)
  readHistogram(
    registry,
    'postern_request_duration_seconds',
    'From the end of a head to the end of the response.',
    counts.requestTimes,
  )
  readHistogram(
    registry,
    'postern_origin_duration_seconds',
    'Until the first byte of the answer of a local server.',
    counts.originTimes,
  )
  counters('postern_visitor_bytes_total', 'Bytes of requests that are over, heads included.', 'direction', () => [
    ['in', counts.visitorBytesIn],
    ['out', counts.visitorBytesOut],
  ])
  counters(
    'postern_faults_total',
    'Visitors who got an answer of ours, or were cut off, by why.',
    'code',
    () => counts.totals().faults,
  )
  readHistogram(
    registry,
    'postern_opening_duration_seconds',
    'From the accepted connection of an agent to its welcome.',
    counts.openingTimes,
  )
  counters(
    'postern_openings_refused_total',
    'Openings of channels that came to nothing, by why.',
    'code',
    () => counts.totals().openingsRefused,
  )
  counters(
    'postern_channel_bytes_total',
    'Bytes through the channels: in from agents, out to them.',
    'direction',
    () => {
      const { bytesIn, bytesOut } = counts.totals()
      return [
        ['in', bytesIn],
        ['out', bytesOut],
      ]
    },
  )
  counter(
    'postern_agents_moved_total',
    'Channels whose agent opened another one in their place.',
    () => counts.totals().agentsMoved,
  )
  counter(
    'postern_access_log_dropped_lines_total',
    'Lines of the access log that nobody took.',
    () => counts.totals().linesDropped,
  )
  gauge('postern_tunnels', 'Channels that are open.', () => gauges().tunnels)
  gauge('postern_active_streams', 'Streams that carry an exchange.', () => gauges().activeStreams)
  gauge('postern_held_bytes', 'Bytes that wait in channels, for a visitor or for an agent.', () => gauges().heldBytes)
  gauge(
    'postern_late_lease_age_seconds',
    "Since the task's lease was renewed, where that is later than it should be.",
    () => gauges().leaseAge / 1000,
  )
  gauge('postern_visitor_connections', 'Connections of visitors.', visitors)
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS })

  return { contentType: registry.contentType, text: () => registry.metrics() }
}

/** By the first digit of the status; those without one are `none`. */
function* classes(byDigit: Float64Array): Iterable<readonly [string, number]> {
  for (const [digit, count] of byDigit.entries())
    if (digit !== 1 || count > 0) yield [digit === 0 ? 'none' : `${digit}xx`, count]
}

/** The library's own histogram would have to be told of each value as it comes; this one is read when somebody asks. */
function readHistogram(registry: Registry, name: string, help: string, histogram: Histogram): void {
  const get = () => {
    let upTo = 0
    const buckets = [...histogram.bounds, Infinity].map((bound, at) => {
      upTo += histogram.counts[at]!
      const le = bound === Infinity ? '+Inf' : bound / 1000
      return { metricName: `${name}_bucket`, labels: { le }, value: upTo }
    })
    const values = [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, value: histogram.sum / 1000 },
      { metricName: `${name}_count`, labels: {}, value: upTo },
    ]
    return { name, help, type: 'histogram', values, aggregator: 'sum' }
  }
  // What a registry asks of a metric is its name and this; its types name only the library's own.
  registry.registerMetric({ name, get, reset: () => {} } as unknown as Metric)
}
