import { OPERATIONS, type OperationId } from '@postern/protocol/api'
import { FAULTS, type FaultCode } from '@postern/protocol/fault'
import { describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import { embeddedMetrics, type Measured } from './metrics.ts'

/**
 * What the specification asks of a document
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 */
const text = (longest: number) => z.string().check(z.minLength(1), z.maxLength(longest))
const directiveSchema = z.strictObject({
  Namespace: text(1024),
  Dimensions: z.array(z.array(text(250)).check(z.maxLength(30))).check(z.minLength(1)),
  Metrics: z
    .array(z.strictObject({ Name: text(1024), Unit: z.enum(['Count', 'Milliseconds']) }))
    .check(z.minLength(1), z.maxLength(100)),
})
const documentSchema = z.looseObject({
  _aws: z.strictObject({ Timestamp: z.int(), CloudWatchMetrics: z.array(directiveSchema) }),
})

/** Every target that a directive names is a member of the root: a text for a dimension, a number for a metric. */
function extract(line: string) {
  const document = documentSchema.parse(JSON.parse(line)) as Record<string, unknown> & z.infer<typeof documentSchema>
  return document._aws.CloudWatchMetrics.flatMap(({ Dimensions, Metrics }) =>
    Metrics.flatMap(({ Name, Unit }) =>
      Dimensions.map((names) => ({
        name: Name,
        unit: Unit,
        value: z.number().parse(document[Name]),
        dimensions: Object.fromEntries(names.map((name) => [name, text(1024).parse(document[name])])),
      })),
    ),
  )
}

const base: Measured = { operation: 'getMe', status: 200, code: undefined, ms: 12.3, requestId: 'r' }
function measure(measured: Partial<Measured> = {}) {
  const lines: string[] = []
  embeddedMetrics({ write: (line) => lines.push(line) }, () => 1_800_000_000_000)({ ...base, ...measured })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^[^\n]*\n$/)
  return extract(lines[0] ?? '')
}

describe('an answer is one document of the embedded metric format', () => {
  test('with the call and its time', () => {
    expect(measure()).toEqual([
      { name: 'Calls', unit: 'Count', value: 1, dimensions: { Operation: 'getMe', Status: '2xx' } },
      { name: 'Latency', unit: 'Milliseconds', value: 12.3, dimensions: { Operation: 'getMe' } },
    ])
  })

  test.each(['issueTicket', 'issueTicketAtRoot'] as const)('a ticket issued is counted: %s', (operation) => {
    expect(measure({ operation })).toContainEqual({
      ...{ name: 'TicketsIssued', unit: 'Count', value: 1 },
      dimensions: { Service: 'control-plane' },
    })
  })

  test('a refusal is counted by its code, and is no ticket', () => {
    const metrics = measure({ operation: 'issueTicket', status: 403, code: 'subdomain-quota' })
    expect(metrics).toContainEqual({
      ...{ name: 'Refusals', unit: 'Count', value: 1 },
      dimensions: { Code: 'subdomain-quota' },
    })
    expect(metrics.map(({ name }) => name)).toEqual(['Calls', 'Latency', 'Refusals'])
  })
})

test('every operation and code makes one, out of a number of metrics that is bounded', () => {
  const seen = new Set<string>()
  const note = (measured: Partial<Measured>) => {
    for (const { name, dimensions } of measure(measured)) seen.add(JSON.stringify([name, dimensions]))
  }
  const operations = [...(Object.keys(OPERATIONS) as OperationId[]), 'none'] as const
  const codes = Object.keys(FAULTS) as FaultCode[]
  for (const operation of operations) for (const status of [200, 404, 503]) note({ operation, status })
  for (const code of codes) note({ operation: 'none', code, status: FAULTS[code].status })
  // Calls by class of status, latencies, refusals, tickets.
  expect(seen.size).toBe(operations.length * 3 + operations.length + codes.length + 1)
})
