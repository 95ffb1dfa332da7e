import type { Http2Session } from 'node:http2'
import { H2_PING_MS, H2_PONG_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Liveness } from './liveness.ts'

const PING_BYTES = 17
const A_RESPONSE = 300

/** A session of which the test says what it reads and writes. `check` is called when it is due. */
function watched() {
  const clock = { ms: 0 }
  const socket = { bytesRead: 0, bytesWritten: 0 }
  const pings: number[] = []
  const ended: number[] = []
  const session = {
    destroyed: false,
    closed: false,
    socket,
    ping: () => pings.push(clock.ms) > 0,
  }
  const liveness = new Liveness({
    session: session as unknown as Http2Session,
    by: () => 'ping',
    blocked: () => false,
    deadlineIn: (ms) => clock.ms + Math.max(1000, ms),
    dead: () => ended.push(clock.ms),
  })
  /** Until its next deadline; `meanwhile` come bytes of the peer, or are written. */
  const pass = (meanwhile: { read?: number; written?: number } = {}): void => {
    socket.bytesRead += meanwhile.read ?? 0
    socket.bytesWritten += meanwhile.written ?? 0
    clock.ms = liveness.deadline
    liveness.check()
  }
  return { clock, pings, ended, pass, liveness }
}

test('a session that breaks before its first PING, with a response written behind it, ends within seconds', () => {
  const { pings, ended, pass } = watched()
  pass({ read: 60 })
  pass({ written: A_RESPONSE })
  expect(ended).toEqual([])
  pass()
  expect([pings.length, ended]).toEqual([2, [3000]])
})

test('a peer has its time for the answer to a PING that was written', () => {
  const { ended, pass, clock } = watched()
  pass({ read: 60 })
  pass({ written: PING_BYTES })
  const asked = clock.ms
  while (ended.length === 0) pass()
  expect(ended).toEqual([asked + H2_PONG_MS])
})

test('a session that breaks while the answer to a PING is due ends as soon', () => {
  const { pings, ended, pass, clock } = watched()
  pass({ read: 60 })
  pass({ written: PING_BYTES })
  const written = clock.ms
  pass({ read: 10, written: PING_BYTES })
  pass()
  expect([pings.length, ended]).toEqual([2, [written + H2_PING_MS + 1000]])
})

test('a peer to which much is sent meanwhile has its time as well, and no more than three PINGs to answer', () => {
  const { pings, ended, pass, clock } = watched()
  pass({ read: 60 })
  for (let time = 0; time < 3; time += 1) pass({ written: A_RESPONSE + PING_BYTES })
  expect(pings).toHaveLength(3)
  pass({ written: A_RESPONSE })
  expect(ended).toEqual([])
  const lastWritten = clock.ms
  while (ended.length === 0) pass()
  expect(ended).toEqual([lastWritten + H2_PONG_MS])
})

test('what the peer sends shows that it lives, and the next PING is due later', () => {
  const { pings, ended, pass, clock } = watched()
  pass({ read: 60 })
  pass({ read: PING_BYTES, written: PING_BYTES })
  const lived = clock.ms
  pass()
  expect([pings, ended]).toEqual([[1000, lived + H2_PING_MS], []])
})
