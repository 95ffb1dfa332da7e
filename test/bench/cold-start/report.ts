/** What a cold start took, as a table and a verdict. Knows nothing of how it was measured. */
import { figure, spread } from '../figures.ts'
import { markdownTable } from '../report.ts'
import { summarise } from '../statistics.ts'
import type { ColdStart } from './cold-start.ts'

const IMPORT_MS = 150
const BUNDLE_KB = 600

export function reportColdStart({ bytes, imports, tableCalls, evaluations, nothing, parts }: ColdStart): string {
  const ms = (values: readonly number[]): string => `${spread(summarise(values))} ms`
  const kilobytes = (count: number): string => `${figure(count / 1000)} KB`
  const median = (values: readonly number[]): number => summarise(values).median
  // What is left over of the medians: in one round the others' noise would be in it five times.
  const left = parts.reduce(
    (rest, part) => (part.evaluations.length > 0 ? rest - median(part.evaluations) : rest),
    median(evaluations) - median(nothing),
  )
  const rows = [
    [`cold start of the Lambda, ${imports.length} processes`, 'time', 'of the bundle'],
    ['import', ms(imports), kilobytes(bytes)],
    ['– first call of the table, on this machine', ms(tableCalls), ''],
    ['– the modules', ms(evaluations), ''],
    ...parts.map((part) => [
      `– – ${part.name}`,
      part.evaluations.length > 0 ? ms(part.evaluations) : `the rest, ${figure(left)} ms`,
      kilobytes(part.bytes),
    ]),
    ['– – an import of nothing', ms(nothing), ''],
  ]
  const verdict = (met: boolean): string => (met ? 'met' : '**not met**')
  return [
    markdownTable(rows),
    '',
    `- import of the Lambda: ${ms(imports)}, target ≤ ${IMPORT_MS} ms: ${verdict(median(imports) <= IMPORT_MS)}`,
    `- bundle of the Lambda: ${kilobytes(bytes)}, target ≤ ${BUNDLE_KB} KB: ${verdict(bytes <= BUNDLE_KB * 1000)}`,
  ].join('\n')
}
