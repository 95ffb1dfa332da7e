/** What an experiment starts from, and where its counts go. Knows nothing of any experiment. */

import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { SeededRandom } from '../support/seeded-random.ts'

/** POSTERN_SEED repeats a run. */
const SEED = Number(process.env.POSTERN_SEED ?? randomInt(2 ** 31))

/** Chance of its own for every row, so that one row alone repeats as it was among the others. */
export const chance = (row: number): SeededRandom => new SeededRandom(SEED + row)

/**
 * Says what a row of `docs/reliability.md` came to, on one line; with POSTERN_COUNTS also into that file, for the table there.
 * @param began performance.now() at its start
 */
export function tell(row: number, counts: string, began: number): void {
  const seconds = Math.round((performance.now() - began) / 100) / 10
  process.stdout.write(`row ${row}: ${counts} (${seconds} s, seed ${SEED})\n`)
  const file = process.env.POSTERN_COUNTS
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ row, counts, seconds, seed: SEED })}\n`)
}

/** Runs `work` for 0 … count − 1, at most `width` at once. Rejects with the first failure. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker))
}

/** What `promise` resolves to, or `late` if that takes longer than `ms`. */
export async function within<T, L>(ms: number, promise: Promise<T>, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
