/** Summaries of repeated measurements. Knows nothing of what was measured. */

export interface Summary {
  readonly median: number
  /** Interpolated between the two values next to it. */
  readonly lowerQuartile: number
  readonly min: number
  readonly max: number
}

/** @throws RangeError for no values at all: a figure that was not measured must not look like one. */
export function summarise(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('nothing was measured')
  const sorted = [...values].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), lowerQuartile: quantile(sorted, 0.25), min: sorted[0]!, max: sorted.at(-1)! }
}

function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share
  const below = Math.floor(at)
  const low = sorted[below]!
  return low + ((sorted[below + 1] ?? low) - low) * (at - below)
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
