import { H2_HELD_BYTES, H2_UNREAD_BYTES, INITIAL_WINDOW_BYTES, STREAM_WAIT_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { ConnectionLoad, type WeighedStream } from './connection-load.ts'

interface Fake extends WeighedStream {
  load: { sending: boolean; held: number; weight(now: number): number; leastWeight(now: number): number }
}

function connection() {
  const streams = new Set<Fake>()
  const evicted: Fake[] = []
  const failures: unknown[] = []
  let now = 0
  const load = new ConnectionLoad(
    streams,
    () => now,
    (error) => failures.push(error),
  )
  return {
    load,
    evicted,
    failures,
    wait: (ms: number) => {
      now += ms
    },
    /** `soon`: what it may soon hold. */
    add({ held = 0, soon = 0, least = 0, sending = true }): Fake {
      const stream: Fake = {
        load: {
          sending,
          held,
          weight: () => Math.max(stream.load.held, soon),
          leastWeight: () => stream.load.held + least,
        },
        evict: () => {
          evicted.push(stream)
          stream.load.held = 0
          streams.delete(stream)
        },
      }
      streams.add(stream)
      return stream
    },
  }
}

const WINDOWS = H2_UNREAD_BYTES / INITIAL_WINDOW_BYTES

test('a request waits while those before it may soon hold too much, and is sent when they do no longer, the first one first', () => {
  const { load, add } = connection()
  const streams = Array.from({ length: WINDOWS }, () => add({ held: INITIAL_WINDOW_BYTES }))
  const sent: string[] = []
  for (const name of ['first', 'second']) {
    const ready = (): void => {
      sent.push(name)
      add({ soon: INITIAL_WINDOW_BYTES })
    }
    expect(load.defer(ready)).toBeTypeOf('function')
  }
  load.relieved()
  expect(sent).toEqual([])
  streams[0]!.load.held = 0
  load.relieved()
  expect(sent).toEqual(['first'])
  streams[1]!.load.held = 0
  load.relieved()
  expect(sent).toEqual(['first', 'second'])
})

test('a request that is withdrawn waits no longer', () => {
  const { load, add } = connection()
  const stream = add({ held: H2_UNREAD_BYTES })
  for (let count = 0; count < WINDOWS; count += 1) add({})
  const leave = load.defer(() => expect.unreachable())
  leave!()
  stream.load.held = 0
  load.relieved()
})

test('what only may come makes nobody wait for long; what is held does', () => {
  const { load, add, wait } = connection()
  const streams = Array.from({ length: WINDOWS }, () => add({ soon: INITIAL_WINDOW_BYTES }))
  let sent = 0
  load.defer(() => {
    sent += 1
  })
  load.relieved()
  expect(sent).toBe(0)
  for (const { load: each } of streams) each.held = INITIAL_WINDOW_BYTES / 2
  wait(STREAM_WAIT_MS)
  load.relieved()
  expect(sent).toBe(0)
  for (const { load: each } of streams) each.held = 1000
  load.relieved()
  expect(sent).toBe(1)
})

test('where more is held than may be, the largest requests that were not sent go first, then the largest of all', async () => {
  const { load, add, evicted } = connection()
  const small = add({ held: 1000, sending: false })
  const large = add({ held: 2000, sending: false })
  for (let count = 0; count < WINDOWS; count += 1) add({ held: INITIAL_WINDOW_BYTES })
  const largest = add({ held: H2_HELD_BYTES - H2_UNREAD_BYTES + 1 })
  load.burdened(INITIAL_WINDOW_BYTES)
  expect(evicted).toEqual([])
  await Promise.resolve()
  expect(evicted).toEqual([large, small, largest])
})

test('what an eviction throws ends the connection, not the process', async () => {
  const { load, add, failures } = connection()
  for (let count = 0; count < 2 * WINDOWS; count += 1) add({ held: INITIAL_WINDOW_BYTES })
  add({ held: 2 * INITIAL_WINDOW_BYTES }).evict = () => {
    throw new Error('broken')
  }
  load.burdened(INITIAL_WINDOW_BYTES)
  await Promise.resolve()
  expect(failures).toEqual([new Error('broken')])
})
