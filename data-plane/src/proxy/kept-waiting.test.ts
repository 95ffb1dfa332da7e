import { SLOW_UPLOAD_BYTES_PER_SECOND } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { keptWaiting } from './kept-waiting.ts'

const NOW = 50_000
const SINCE = 10_000
const ENOUGH = SLOW_UPLOAD_BYTES_PER_SECOND * 40

test.each([
  ['has not read all that it was given: since then', 45_000, undefined, 5000],
  ['neither reads nor sends: since it stopped reading', 45_000, 0, 5000],
  ['has sent nothing: since it has had the stream', undefined, 0, 40_000],
  ['has sent a byte too few: since it has had the stream', undefined, ENOUGH - 1, 40_000],
  ['has sent just enough: not at all', undefined, ENOUGH, 0],
  ['owes nothing: not at all', undefined, undefined, 0],
])('a visitor that %s', (_what, fullSince, uploaded, wanted) => {
  expect(keptWaiting(NOW, { since: SINCE, fullSince, uploaded })).toBe(wanted)
})

test('who has just got its stream keeps nobody waiting', () => {
  expect(keptWaiting(SINCE, { since: SINCE, fullSince: undefined, uploaded: 0 })).toBe(0)
})
