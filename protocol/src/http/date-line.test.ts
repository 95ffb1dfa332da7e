import { expect, test } from 'vitest'
import { DateLine } from './date-line.ts'

test('is the time in the form of RFC 9110 §5.6.7, the same bytes within a second', () => {
  let now = Date.UTC(1994, 10, 6, 8, 49, 37, 1)
  const line = new DateLine(() => now)
  const first = line.bytes
  expect(first.toString()).toBe('Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n')
  now += 998
  expect(line.bytes).toBe(first)
  now += 1
  expect(line.bytes.toString()).toBe('Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n')
  now -= 3600_000
  expect(line.bytes.toString()).toBe('Date: Sun, 06 Nov 1994 07:49:38 GMT\r\n')
})
