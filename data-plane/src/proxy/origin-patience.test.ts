import { ORIGIN_FIRST_BYTE_MS, STILL_WAITING_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { OriginPatience } from './origin-patience.ts'

/** The waits of a local server that never answers, and when each was reported. */
function waits(firstByteMs: number | undefined): { waits: number[]; reportedAt: number[] } {
  const patience = new OriginPatience({ firstByteMs })
  const reportedAt: number[] = []
  let now = 1000
  const waits: number[] = []
  for (let ms: number | undefined = patience.begin(now); ms !== undefined && waits.length < 5; ) {
    waits.push(ms)
    if (ms === Infinity) break
    now += ms
    ms = patience.next(now, () => reportedAt.push(now - 1000))
  }
  return { waits, reportedAt }
}

test.each([
  ['the usual limit', undefined, [STILL_WAITING_MS, ORIGIN_FIRST_BYTE_MS - STILL_WAITING_MS], [STILL_WAITING_MS]],
  ['no limit', Infinity, [STILL_WAITING_MS, Infinity], [STILL_WAITING_MS]],
  ['ten minutes', 600_000, [STILL_WAITING_MS, 600_000 - STILL_WAITING_MS], [STILL_WAITING_MS]],
  ['a limit that comes first', STILL_WAITING_MS - 1, [STILL_WAITING_MS - 1], []],
  ['a limit at that moment', STILL_WAITING_MS, [STILL_WAITING_MS], []],
])('%s: the wait is reported once, and ends in its time', (_title, limit, expected, reportedAt) => {
  expect(waits(limit)).toEqual({ waits: expected, reportedAt })
})

test('an interim answer begins the wait anew, and it is reported no second time', () => {
  const patience = new OriginPatience({ firstByteMs: 100_000 })
  const reports: number[] = []
  patience.begin(0)
  expect(patience.next(STILL_WAITING_MS, () => reports.push(1))).toBe(100_000 - STILL_WAITING_MS)
  expect(patience.begin(50_000)).toBe(100_000)
  expect(patience.next(149_999, () => reports.push(2))).toBe(1)
  expect(patience.next(150_000, () => reports.push(3))).toBeUndefined()
  expect(reports).toEqual([1])
})
