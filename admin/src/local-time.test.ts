import { expect, test } from 'vitest'
import { localTime } from './local-time.ts'

test('a time is shown on the clock of the place, in an order that sorts', () => {
  const iso = '2026-06-30T22:05:09.123Z'
  expect(localTime(iso, 'UTC')).toBe('2026-06-30 22:05:09')
  expect(localTime(iso, 'Europe/Berlin')).toBe('2026-07-01 00:05:09')
  expect(localTime(iso, 'America/New_York')).toBe('2026-06-30 18:05:09')
})

test('no time is shown as nothing', () => {
  expect(localTime(undefined)).toBe('')
})
