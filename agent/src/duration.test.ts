import { expect, test } from 'vitest'
import { parseDuration } from './duration.ts'

test.each([
  ['0', 0],
  ['0s', 0],
  ['500ms', 500],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['2m', 120_000],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '10', 's', '-1s', '1e3s', '1 s', '10S', '1h', '0x10s', '1.s', '.5s', 'Infinity', '10s '])(
  '%j is no length of time',
  (text) => {
    expect(parseDuration(text)).toBeUndefined()
  },
)
