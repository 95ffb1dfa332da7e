import { expect, test } from 'vitest'
import { Distribution } from './distribution.ts'

const of = (...times: number[]): Distribution => {
  const distribution = new Distribution()
  for (const ms of times) distribution.add(ms)
  return distribution
}
/** Half a step to either side, and three digits. */
const near = (wanted: number) => (value: number) => Math.abs(value - wanted) <= 0.03 * wanted

test('a few come out as they are, ascending, within 3 %', () => {
  const times = [1, 2.5, 33, 33, 480, 12_000]
  const values = of(480, 33, 12_000, 1, 33, 2.5).values(100)
  expect(values).toHaveLength(times.length)
  for (const [index, value] of values.entries()) expect(value).toSatisfy(near(times[index]!))
})

test('many come out as a hundred with the same percentiles, the shortest and the longest among them', () => {
  const times = Array.from({ length: 9000 }, (_, index) => 20 + index / 10)
  const values = of(...times).values(100)
  expect(values).toHaveLength(100)
  expect(values[0]).toSatisfy(near(times[0]!))
  expect(values[99]).toSatisfy(near(times.at(-1)!))
  // The value at a percentile of the hundred lies within a percent of that of all.
  for (const percent of [25, 50, 90, 99]) {
    const [below, above] = [percent - 1, percent].map((rank) => times[Math.round((rank / 100) * (times.length - 1))]!)
    expect(values[percent - 1]).toBeGreaterThanOrEqual(0.97 * below!)
    expect(values[percent - 1]).toBeLessThanOrEqual(1.03 * above!)
  }
})

test('one slow opening in a hundred and fifty is seen', () => {
  const values = of(...Array.from({ length: 150 }, () => 30), 8000).values(100)
  expect(values.at(-1)).toSatisfy(near(8000))
})

test.each([
  ['none of anything', [], []],
  ['less than a millisecond as one', [0.01], [1]],
  ['more than a minute as a minute', [1e9], [60_000]],
])('counts %s', (_what, times, wanted) => {
  const values = of(...times).values(100)
  expect(values).toHaveLength(wanted.length)
  for (const [index, value] of values.entries()) expect(value).toSatisfy(near(wanted[index]!))
})

test('begins anew when it is cleared', () => {
  const distribution = of(5, 6)
  distribution.clear()
  expect([distribution.count, distribution.values(100)]).toEqual([0, []])
})
