/** Which of the forms that we have a request would rather get (RFC 9110 §12.5.1). Knows nothing of what stands in them. */

export type Form = 'page' | 'json' | 'text'

/** Ours, in the order in which they are given to whoever takes them alike. */
const TYPES: readonly (readonly [Form, type: string])[] = [
  ['text', 'text/plain'],
  ['page', 'text/html'],
  ['json', 'application/json'],
  ['json', 'application/problem+json'],
]

interface MediaRange {
  /** Lower case, without parameters. */
  readonly type: string
  /** 0 to 1. */
  readonly weight: number
}

interface Liking {
  readonly weight: number
  /** How exactly the range names the type: 2 the type itself, 1 its family, 0 everything. */
  readonly precision: number
  /** The range's place in the field. */
  readonly at: number
}

/**
 * The form with the greatest weight; of two alike the one that was named more exactly, then the one named earlier. Text for whoever takes none, or says
 * nothing: an answer that cannot be read is better than none.
 */
export function acceptedForm(accept: string | undefined): Form {
  const ranges = accept === undefined ? [] : accept.split(',').map(mediaRange)
  let form: Form = 'text'
  let best: Liking = { weight: 0, precision: 0, at: Infinity }
  for (const [candidate, type] of TYPES) {
    const liking = likingOf(type, ranges)
    if (liking === undefined || !isAbove(liking, best)) continue
    form = candidate
    best = liking
  }
  return form
}

/** By the most exact range that fits, which counts even if a wider one likes the type better. */
function likingOf(type: string, ranges: readonly MediaRange[]): Liking | undefined {
  const family = `${type.slice(0, type.indexOf('/'))}/*`
  let found: Liking | undefined
  for (const [at, range] of ranges.entries()) {
    const precision = range.type === type ? 2 : range.type === family ? 1 : range.type === '*/*' ? 0 : -1
    if (precision > (found?.precision ?? -1)) found = { weight: range.weight, precision, at }
  }
  return found
}

function isAbove(one: Liking, other: Liking): boolean {
  if (one.weight !== other.weight) return one.weight > other.weight
  if (one.weight === 0) return false
  return one.precision === other.precision ? one.at < other.at : one.precision > other.precision
}

function mediaRange(text: string): MediaRange {
  const [type, ...parameters] = text.split(';')
  const weight = parameters.map((parameter) => /^[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*$/i.exec(parameter)?.[1])
  const told = weight.find((value) => value !== undefined)
  return { type: type!.trim().toLowerCase(), weight: told === undefined ? 1 : Number(told) }
}
