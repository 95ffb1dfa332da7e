/** Numbers the cases of a run. Knows nothing of what a case is made of. */

/** The seed of case `index` of a run: cases are made from their own number alone, so that shards need not run in order. */
export function caseSeed(seed: number, index: number): number {
  return (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
}
