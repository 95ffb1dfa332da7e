import { NOTICED_COOKIES, NOTICES_BURST, NOTICES_PER_SECOND } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { AgentNotices } from './agent-notices.ts'

test('a flood of notices is cut to a few a second', () => {
  let now = 0
  const notices = new AgentNotices(() => now)
  const admitted = (): number =>
    Array.from({ length: 100 }, (_, i) => notices.admit('answer-refused', `GET /${i}`)).filter(Boolean).length
  expect(admitted()).toBe(NOTICES_BURST)
  now += 3000
  expect(admitted()).toBe(3 * NOTICES_PER_SECOND)
})

test('each dropped cookie is reported once, one that came in a flood later, and only so many names', () => {
  let now = 0
  const notices = new AgentNotices(() => now)
  expect([notices.admit('cookie-dropped', 'a'), notices.admit('cookie-dropped', 'a')]).toEqual([true, false])
  while (notices.admit('still-waiting', 'GET /')) now += 0
  expect(notices.admit('cookie-dropped', 'b')).toBe(false)
  now += 1000
  expect(notices.admit('cookie-dropped', 'b')).toBe(true)
  let names = 2
  for (let i = 0; i < 2 * NOTICED_COOKIES; i++) {
    now += 1000
    if (notices.admit('cookie-dropped', `c${i}`)) names++
  }
  expect(names).toBe(NOTICED_COOKIES)
})
