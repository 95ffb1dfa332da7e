/** Reads lines of CloudWatch's embedded metric format as CloudWatch would. Knows nothing of which metrics there are. */
import { METRIC_VALUES } from '@postern/protocol/limits'
import * as z from 'zod/mini'

export interface ReadMetric {
  readonly name: string
  readonly unit: string
  readonly values: readonly number[]
  readonly dimensions: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What the specification asks of a document (docs.aws.amazon.com, CloudWatch_Embedded_Metric_Format_Specification). */
const text = (longest: number) => z.string().check(z.minLength(1), z.maxLength(longest))
const directiveSchema = z.strictObject({
  Namespace: text(1024),
  Dimensions: z.array(z.array(text(250)).check(z.maxLength(30))).check(z.minLength(1)),
  Metrics: z
    .array(z.strictObject({ Name: text(1024), Unit: z.enum(['Count', 'Milliseconds', 'Bytes']) }))
    .check(z.minLength(1), z.maxLength(100)),
})
const documentSchema = z.looseObject({
  _aws: z.strictObject({ Timestamp: z.int(), CloudWatchMetrics: z.array(directiveSchema) }),
})
const valueSchema = z.union([z.number(), z.array(z.number()).check(z.minLength(1), z.maxLength(METRIC_VALUES))])

/** The container's log driver cuts a longer line in two, and neither half is a document. */
const LONGEST_LINE = 16 * 1024

/** @throws Error if the line is no document of the format, or one that would not arrive whole */
export function readMetrics(line: string): ReadMetric[] {
  if (!/^[^\n]+\n?$/.test(line) || line.length > LONGEST_LINE) throw new Error(`not one line: ${line}`)
  const document = documentSchema.parse(JSON.parse(line)) as Record<string, unknown> & z.infer<typeof documentSchema>
  return document._aws.CloudWatchMetrics.flatMap(({ Dimensions, Metrics }) =>
    Metrics.flatMap(({ Name, Unit }) =>
      Dimensions.map((names) => ({
        name: Name,
        unit: Unit,
        values: [valueSchema.parse(document[Name])].flat(),
        dimensions: Object.fromEntries(names.map((name) => [name, text(1024).parse(document[name])])),
        at: document._aws.Timestamp,
      })),
    ),
  )
}
