/** The cases that once were findings, or that show why a rule is there: `test/vectors/http-corpus/`, replayed before any new ones. */
import { readdirSync, readFileSync } from 'node:fs'
import type { FuzzCase } from './fuzz-case.ts'

const FOLDER = new URL('../vectors/http-corpus/', import.meta.url)

export interface CorpusEntry {
  readonly name: string
  /** What it showed. */
  readonly why: string
  /** The kind of verdict it has now. */
  readonly verdict: string
  readonly case: FuzzCase
}

export function readCorpus(): CorpusEntry[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'))
  return files.sort().map((name) => ({ name, ...JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) }))
}
