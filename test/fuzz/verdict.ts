/** How a case can end, and how many did. */
import type { Rule } from '@postern/protocol/http'

export type Verdict =
  | { kind: 'both-accept' }
  /** Visits came to what the model allows; how often they came to what. */
  | { kind: 'as-modelled'; counts: Readonly<Record<string, number>> }
  | { kind: 'both-refuse'; rule: Rule }
  /** Not even one head is whole. */
  | { kind: 'incomplete' }
  /** Node accepts, we do not, and the rule is on the list. */
  | { kind: 'we-refuse'; rule: Rule }
  | { kind: 'finding'; what: string }

export interface Tally {
  cases: number
  accepted: number
  refused: number
  incomplete: number
  /** By rule; of visits, by what they came to. */
  listed: Record<string, number>
  found: number
  /** The first of them. */
  findings: Finding[]
  /** What was in use behind a collection of garbage, in MiB: early in the run, late in it, and at most. Empty where nothing was measured. */
  memory: readonly Memory[]
}

export interface Memory {
  readonly early: number
  readonly late: number
  readonly most: number
}

export interface Finding {
  /** The one number that makes the case again. */
  readonly seed: number
  readonly what: string
  /** The bytes, as latin1 text. */
  readonly message: string
}

/** More of them are one defect over and over. */
const FINDINGS_KEPT = 100

export const emptyTally = (): Tally => ({
  cases: 0,
  accepted: 0,
  refused: 0,
  incomplete: 0,
  listed: {},
  found: 0,
  findings: [],
  memory: [],
})

export function count(tally: Tally, verdict: Verdict, seed: number, message: string): void {
  tally.cases++
  switch (verdict.kind) {
    case 'both-accept':
      tally.accepted++
      break
    case 'both-refuse':
      tally.refused++
      break
    case 'incomplete':
      tally.incomplete++
      break
    case 'as-modelled':
      tally.accepted++
      for (const [what, number] of Object.entries(verdict.counts))
        tally.listed[what] = (tally.listed[what] ?? 0) + number
      break
    case 'we-refuse':
      tally.listed[verdict.rule] = (tally.listed[verdict.rule] ?? 0) + 1
      break
    default:
      addFinding(tally, { seed, what: verdict.what, message })
  }
}

export function addFinding(tally: Tally, finding: Finding): void {
  tally.found++
  if (tally.findings.length < FINDINGS_KEPT) tally.findings.push(finding)
}

export function addTally(sum: Tally, part: Tally): void {
  sum.cases += part.cases
  sum.accepted += part.accepted
  sum.refused += part.refused
  sum.incomplete += part.incomplete
  for (const [rule, cases] of Object.entries(part.listed)) sum.listed[rule] = (sum.listed[rule] ?? 0) + cases
  sum.found += part.found
  sum.findings.push(...part.findings)
  sum.memory = [...sum.memory, ...part.memory]
}
