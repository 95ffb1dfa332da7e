/** What is wrong with something that was sent, in words: which field, and what was expected. Never what was sent. */
import type * as z from 'zod/mini'

type Issue = z.core.$ZodIssue

/** What the schemas say of themselves where they say nothing; the languages that zod brings along are left out of it. */
const UNSAID = 'Invalid input'
/** What is counted where a size is wrong. */
const UNIT: Readonly<Record<string, string>> = { string: ' characters', array: ' items' }

/** One sentence for all issues of a schema. Field names that do not look like one are not repeated: they may be anything. */
export const describeIssues = (issues: readonly Issue[]): string => `${issues.map(describe).join('; ')}.`

function describe(issue: Issue): string {
  const field = issue.path.map(String).join('.') || 'the whole'
  switch (issue.code) {
    case 'invalid_type':
      return `${field}: ${issue.expected === 'int' ? 'whole number' : issue.expected} expected`
    case 'unrecognized_keys':
      return `${field === 'the whole' ? '' : `${field}: `}${issue.keys.map(unknownField).join(', ')}`
    case 'too_small':
      return `${field}: at least ${issue.minimum}${UNIT[issue.origin] ?? ''} expected`
    case 'too_big':
      return `${field}: at most ${issue.maximum}${UNIT[issue.origin] ?? ''} expected`
    case 'invalid_value':
      return `${field}: one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')} expected`
    default:
      return `${field}: ${issue.message === UNSAID ? 'not of the form that is' : issue.message} expected`
  }
}

const unknownField = (name: string): string =>
  /^[A-Za-z_][\w-]{0,31}$/.test(name) ? `${name}: no such field` : 'a field that is not known'
