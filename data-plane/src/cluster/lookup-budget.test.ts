import { LOOKUPS_AT_ONCE, LOOKUPS_PER_SECOND } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { LookupBudget } from './lookup-budget.ts'

function setup() {
  const clock = { ms: 1000 }
  const budget = new LookupBudget(() => clock.ms)
  /** How many of `tries` from each of these addresses, in turn, are counted. */
  const taken = (addresses: readonly (string | undefined)[], tries: number): number[] => {
    const counts = addresses.map(() => 0)
    for (let n = 0; n < tries; n += 1)
      addresses.forEach((address, index) => {
        if (budget.take(address)) counts[index]! += 1
      })
    return counts
  }
  return { clock, budget, taken }
}

const addresses = (count: number) => Array.from({ length: count }, (_, n) => `192.0.2.${n}`)

test('one address uses up neither the common burst nor the common rate', () => {
  const { clock, taken } = setup()
  expect(taken(['scan'], 10_000)).toEqual([LOOKUPS_AT_ONCE / 2 + 1])
  let scanned = 0
  for (let second = 0; second < 100; second += 1) {
    clock.ms += 1000
    scanned += taken(['scan'], 1000)[0]!
  }
  expect(scanned).toBeLessThan(0.6 * 100 * LOOKUPS_PER_SECOND)
  expect(scanned).toBeGreaterThan(0.4 * 100 * LOOKUPS_PER_SECOND)
  expect(taken(['visitor'], 100)).toEqual([100])
})

test('of many addresses that scan all come to the same, and one that has not asked comes before them', () => {
  const { clock, taken, budget } = setup()
  const scanners = addresses(20)
  taken(scanners, 1000)
  const sums = scanners.map(() => 0)
  for (let tick = 0; tick < 6000; tick += 1) {
    clock.ms += 10
    taken(scanners, 1).forEach((count, index) => {
      sums[index]! += count
    })
    if (tick % 100 === 0) expect(budget.take(`visitor ${tick}`)).toBe(true)
  }
  const least = Math.min(...sums)
  expect(least).toBeGreaterThan((60 * LOOKUPS_PER_SECOND) / scanners.length / 2)
  expect(Math.max(...sums)).toBeLessThanOrEqual(2 * least)
})

test('all addresses together have no more than the common burst', () => {
  const { taken } = setup()
  const counts = taken(addresses(LOOKUPS_AT_ONCE + 50), 3)
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(LOOKUPS_AT_ONCE)
})

test('what is read for no visitor in particular counts for the common share alone', () => {
  expect(setup().taken([undefined], LOOKUPS_AT_ONCE + 1)).toEqual([LOOKUPS_AT_ONCE])
})
