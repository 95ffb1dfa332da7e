/** The report of a run as a page of markdown. It holds names, counts and times, and no secret. */
import type { Verdict } from './verdict.ts'

export interface CheckResult {
  readonly title: string
  readonly verdict: Verdict
  readonly at: Date
}

export interface ReportOptions {
  readonly title: string
  readonly server: string
  readonly began: Date
  readonly ended: Date
  readonly results: readonly CheckResult[]
}

export function reportText({ title, server, began, ended, results }: ReportOptions): string {
  const count = (outcome: Verdict['outcome']): number =>
    results.filter(({ verdict }) => verdict.outcome === outcome).length
  const rows = results.map(
    ({ title: check, verdict, at }) =>
      `| ${cell(check)} | **${verdict.outcome}** | ${cell(verdict.detail)} | ${at.toISOString()} |`,
  )
  return [
    '# First deployment, measured',
    '',
    `* Service: ${server} (${title})`,
    `* From ${began.toISOString()} to ${ended.toISOString()}`,
    `* ${count('passed')} passed, ${count('failed')} failed, ${count('not measurable')} not measurable here`,
    '',
    '| check | verdict | detail | at |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
