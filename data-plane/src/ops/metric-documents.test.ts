import { FAULTS, type FaultCode } from '@postern/protocol/fault'
import { METRIC_NAMESPACE, TASK_METRIC } from '@postern/protocol/metrics'
import { expect, test } from 'vitest'
import { readMetrics } from '../testing/metric-reader.ts'
import { metricDocuments } from './metric-documents.ts'
import type { Counted } from './task-counts.ts'

const AT = 1_800_000_000_000
const GAUGES = { tunnels: 3, activeStreams: 2, heldBytes: 4096, leaseAge: 1800 }
const counted: Counted = {
  requests: 12,
  held: 2,
  retried: 4,
  hops: 5,
  hopFailures: 1,
  lookups: 3,
  faults: new Map([
    ['tunnel-not-found', 2],
    ['server-busy', 1],
  ]),
  openings: 2,
  openingTimes: [31, 45.2],
  openingsRefused: new Map([
    ['ticket-refused', 4],
    ['server-busy', 5],
  ]),
  bytesIn: 1000,
  bytesOut: 2000,
  agentsMoved: 6,
  drainMs: 61_000,
  linesDropped: 7,
}
const quiet: Counted = {
  requests: 0,
  held: 0,
  retried: 0,
  hops: 0,
  hopFailures: 0,
  lookups: 0,
  faults: new Map(),
  openings: 0,
  openingTimes: [],
  openingsRefused: new Map(),
  bytesIn: 0,
  bytesOut: 0,
  agentsMoved: 0,
  drainMs: undefined,
  linesDropped: 0,
}

/** By name and dimension: the values. */
const read = (...args: Parameters<typeof metricDocuments>) =>
  Object.fromEntries(
    metricDocuments(...args)
      .flatMap(readMetrics)
      .map(({ name, dimensions, values }) => [`${name} ${Object.values(dimensions)}`, values]),
  )

test('what a task has counted is one document of the embedded metric format, and one for each code', () => {
  expect(metricDocuments(counted, GAUGES, AT)).toHaveLength(4)
  expect(read(counted, GAUGES, AT)).toEqual({
    'Tunnels data-plane': [3],
    'ActiveStreams data-plane': [2],
    'HeldBytes data-plane': [4096],
    'LeaseAge data-plane': [1800],
    'Requests data-plane': [12],
    'Held data-plane': [2],
    'Retried data-plane': [4],
    'Hops data-plane': [5],
    'HopFailures data-plane': [1],
    'Lookups data-plane': [3],
    'Openings data-plane': [2],
    'OpeningLatency data-plane': [31, 45.2],
    'BytesIn data-plane': [1000],
    'BytesOut data-plane': [2000],
    'AgentsMoved data-plane': [6],
    'DrainTime data-plane': [61_000],
    'AccessLogDropped data-plane': [7],
    'Faults tunnel-not-found': [2],
    'Faults server-busy': [1],
    'OpeningsRefused ticket-refused': [4],
    'OpeningsRefused server-busy': [5],
  })
})

test('each bears its time, its namespace, and the name, unit and dimensions that everybody knows', () => {
  const known = Object.values(TASK_METRIC).map(({ name, unit, by }) => `${name} ${unit} ${by}`)
  const read = metricDocuments(counted, GAUGES, AT).flatMap(readMetrics)
  const written = read.map(({ name, unit, dimensions }) => `${name} ${unit} ${Object.keys(dimensions)}`)
  expect([...new Set(written)].sort()).toEqual(known.sort())
  expect(new Set(read.map(({ at }) => at))).toEqual(new Set([AT]))
  const [line] = metricDocuments(counted, GAUGES, AT)
  expect(JSON.parse(line!)._aws.CloudWatchMetrics[0].Namespace).toBe(METRIC_NAMESPACE)
})

test('what is nothing costs nothing, except for the tunnels, which scaling averages', () => {
  expect(read(quiet, { tunnels: 0, activeStreams: 0, heldBytes: 0, leaseAge: 0 }, AT)).toEqual({
    'Tunnels data-plane': [0],
  })
  expect(metricDocuments(quiet, undefined, AT)).toEqual([])
})

test('how things stand is left out where it says nothing', () => {
  const names = Object.keys(read(counted, undefined, AT))
  expect(names).toContain('Requests data-plane')
  for (const gauge of ['Tunnels', 'ActiveStreams', 'HeldBytes']) expect(names).not.toContain(`${gauge} data-plane`)
})

test('the most there can be makes lines that no log driver cuts in two', () => {
  const codes = new Map((Object.keys(FAULTS) as FaultCode[]).map((code) => [code, Number.MAX_SAFE_INTEGER]))
  const openingTimes = Array.from({ length: 100 }, () => 12_345.6789)
  const lines = metricDocuments({ ...counted, faults: codes, openingsRefused: codes, openingTimes }, GAUGES, AT)
  expect(lines).toHaveLength(1 + codes.size)
  for (const line of lines) expect(readMetrics(line).length).toBeGreaterThan(0)
})
