/** The cases that once were findings, or that show why a rule is there: `test/vectors/http-corpus/`, replayed before any new ones. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Rule } from '@postern/protocol/http'
import type { FuzzCase } from './fuzz-case.ts'
import type { Verdict } from './verdict.ts'

const FOLDER = new URL('../vectors/http-corpus/', import.meta.url)

export interface CorpusEntry {
  readonly name: string
  /** What it showed. */
  readonly why: string
  /** The rule by which we refuse it; without one we accept it. Node may do either, as it changes: a finding it never is. */
  readonly rule?: Rule
  readonly case: FuzzCase
}

export function readCorpus(): CorpusEntry[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'))
  return files.sort().map((name) => ({ name, ...JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) }))
}

/** Whether a case ended as it should: no finding, and refused by that rule or by none. */
export function asExpected(entry: CorpusEntry, verdict: Verdict): boolean {
  if (verdict.kind === 'finding') return false
  return entry.rule === ('rule' in verdict ? verdict.rule : undefined)
}
