/** Summaries of repeated measurements. Knows nothing of what was measured. */

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** @throws RangeError for no values at all: a figure that was not measured must not look like one. */
export function summarise(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('nothing was measured')
  const sorted = [...values].sort((a, b) => a - b)
  const upper = Math.floor(sorted.length / 2)
  const median = sorted.length % 2 === 1 ? sorted[upper]! : (sorted[upper - 1]! + sorted[upper]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** Pairs what was measured in the same round, so that what slows a whole round down cancels out. */
export function paired(
  left: readonly number[],
  right: readonly number[],
  combine: (left: number, right: number) => number,
): Summary {
  if (left.length !== right.length) throw new RangeError(`${left.length} values beside ${right.length}`)
  return summarise(left.map((value, round) => combine(value, right[round]!)))
}
