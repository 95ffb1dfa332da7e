import { expect, test } from 'vitest'
import { type Attempt, decide, type Retry, type StreamFailure } from './retry.ts'

/** The first that applies decides. */
const RULES: readonly [rule: string, applies: (attempt: Attempt, failure: StreamFailure) => boolean, retry: Retry][] = [
  ['after a byte of the response nothing is repeated', ({ answered }) => answered, 'none'],
  [
    'what may have been acted on, and must not be done twice, is not repeated',
    ({ idempotent }, { unsent }) => !idempotent && !unsent,
    'none',
  ],
  [
    'a request whose channel is gone is sent by another, if all of it can be; not for a visitor that may have left, unless nothing arrived',
    ({ mayMove, repeatable, idempotent, bodyless, visitorEnded }, { channelGone, unsent }) =>
      channelGone && mayMove && (repeatable || (idempotent && bodyless)) && (unsent || !visitorEnded),
    'elsewhere',
  ],
  ['what is no longer kept cannot be repeated', ({ repeatable }) => !repeatable, 'none'],
  [
    'a stream that had carried nothing before failed for the sake of this request',
    ({ mayBeStale }) => !mayBeStale,
    'none',
  ],
  ['what the far end has decided stands', (_attempt, { explained }) => explained, 'none'],
  ['everything else is repeated on a fresh stream', () => true, 'same-route'],
]

const ATTEMPT: readonly (keyof Attempt)[] = [
  'idempotent',
  'repeatable',
  'bodyless',
  'answered',
  'mayBeStale',
  'visitorEnded',
  'mayMove',
]
const FAILURE: readonly (keyof StreamFailure)[] = ['channelGone', 'unsent', 'explained']

/** Every combination of these properties. */
function combinations<K extends string>(keys: readonly K[]): Record<K, boolean>[] {
  return Array.from(
    { length: 2 ** keys.length },
    (_, bits) => Object.fromEntries(keys.map((key, at) => [key, (bits & (1 << at)) !== 0])) as Record<K, boolean>,
  )
}

test('every request that fails is repeated, sent elsewhere or given up as the first rule says', () => {
  const applied = new Map<string, number>()
  const wrong: unknown[] = []
  for (const attempt of combinations(ATTEMPT)) {
    for (const failure of combinations(FAILURE)) {
      const [rule, , retry] = RULES.find(([, applies]) => applies(attempt, failure))!
      applied.set(rule, (applied.get(rule) ?? 0) + 1)
      if (decide(attempt, failure) !== retry) wrong.push({ rule, attempt, failure })
    }
  }
  expect(wrong).toEqual([])
  // No rule is idle.
  expect(applied.size).toBe(RULES.length)
})
