import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DateLine } from './date-line.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(1994, 10, 6, 8, 49, 37, 1) })
})
afterEach(() => {
  vi.useRealTimers()
})

test('is the time in the form of RFC 9110 §5.6.7, the same bytes within a second', () => {
  const line = new DateLine(() => Date.now())
  const first = line.bytes
  expect(first.toString()).toBe('Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n')
  vi.advanceTimersByTime(998)
  expect(line.bytes).toBe(first)
  vi.advanceTimersByTime(1)
  expect(line.bytes.toString()).toBe('Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n')
})

test('a clock that was set back is noticed with the next second', () => {
  const line = new DateLine(() => Date.now(), 'X: ')
  expect(line.bytes.toString()).toBe('Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX: ')
  vi.setSystemTime(Date.UTC(1994, 10, 6, 7, 49, 37, 1))
  vi.advanceTimersByTime(999)
  expect(line.bytes.toString()).toBe('Date: Sun, 06 Nov 1994 07:49:38 GMT\r\nX: ')
})
