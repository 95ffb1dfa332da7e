import { BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS, BACKOFF_RESET_AFTER_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { delayAfter, failuresAfterConnection } from './backoff.ts'

const almostOne = () => 1 - 2 ** -52

test('the ceiling doubles from the first to the longest wait and stays there', () => {
  expect(delayAfter(0, almostOne)).toBe(BACKOFF_FIRST_MS - 1)
  expect(delayAfter(1, almostOne)).toBe(2 * BACKOFF_FIRST_MS - 1)
  expect(delayAfter(30, almostOne)).toBe(BACKOFF_LONGEST_MS - 1)
  expect(delayAfter(5000, almostOne)).toBe(BACKOFF_LONGEST_MS - 1)
})

test('jitter is full: a wait may be nothing at all, however many failures came before', () => {
  expect(delayAfter(0, () => 0)).toBe(0)
  expect(delayAfter(30, () => 0)).toBe(0)
  expect(delayAfter(30, () => 0.5)).toBe(BACKOFF_LONGEST_MS / 2)
})

test('the count starts over only after a connection that lasted', () => {
  expect(failuresAfterConnection(7, BACKOFF_RESET_AFTER_MS - 1)).toBe(7)
  expect(failuresAfterConnection(7, BACKOFF_RESET_AFTER_MS)).toBe(0)
})
