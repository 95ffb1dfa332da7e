import type { TunnelFault } from '@postern/protocol/fault'
import { FENCE_GAP_MS, FENCE_PONG_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Fence } from './fence.ts'

class FencedTunnel {
  pong: () => void = () => {}
  lost: TunnelFault | undefined
  roundTrip = (): Promise<void> => new Promise((resolve) => (this.pong = resolve))
  disconnect = (why: TunnelFault): void => {
    this.lost = why
  }
}

function setup(...tunnels: FencedTunnel[]) {
  const clock = { ms: 0 }
  const timers: { at: number; run: () => void }[] = []
  const seen: string[] = []
  const fence = new Fence({
    tunnels: () => tunnels,
    compareClaims: async () => {},
    now: () => clock.ms,
    after: (ms, run) => {
      const timer = { at: clock.ms + ms, run }
      timers.push(timer)
      return () => timers.splice(timers.indexOf(timer), 1)
    },
    closing: (gapMs) => seen.push(`closed after ${gapMs}`),
    opening: () => seen.push('open'),
  })
  const pass = (ms: number): void => {
    clock.ms += ms
    for (const timer of timers.filter(({ at }) => at <= clock.ms)) {
      timers.splice(timers.indexOf(timer), 1)
      timer.run()
    }
  }
  return { fence, clock, seen, pass, settle: () => new Promise<void>((resolve) => setImmediate(resolve)) }
}

test('a process that is never stopped is never fenced, however long the table is out of reach', () => {
  const { fence, clock } = setup(new FencedTunnel())
  for (let n = 0; n < 1000; n += 1) {
    clock.ms += FENCE_GAP_MS
    expect(fence.closed()).toBe(false)
  }
})

test('the time in which a process stood still does not count for deadlines, whoever looks first', () => {
  const { fence, clock, seen } = setup()
  clock.ms += FENCE_GAP_MS
  expect(fence.awake()).toBe(FENCE_GAP_MS)
  clock.ms += 100 * FENCE_GAP_MS
  expect(fence.awake()).toBe(FENCE_GAP_MS)
  expect(seen).toEqual([`closed after ${100 * FENCE_GAP_MS}`])
  clock.ms += 10
  expect(fence.awake()).toBe(FENCE_GAP_MS + 10)
})

test('after a gap the first request already finds it closed; it opens when every tunnel has answered and the lease is renewed', async () => {
  const tunnels = [new FencedTunnel(), new FencedTunnel()]
  const { fence, clock, seen, settle } = setup(...tunnels)
  clock.ms += FENCE_GAP_MS + 1
  expect(fence.closed()).toBe(true)
  let lifted: unknown = 'waiting'
  void fence.lifted().settled.then((fault) => (lifted = fault))
  let resumed = 0
  fence.whenLifted(() => (resumed += 1))
  tunnels[0]!.pong()
  fence.leaseSettled(clock.ms)
  await settle()
  expect([fence.closed(), lifted, resumed]).toEqual([true, 'waiting', 0])
  tunnels[1]!.pong()
  await settle()
  expect([fence.closed(), lifted, resumed]).toEqual([false, undefined, 1])
  expect(seen).toEqual([`closed after ${FENCE_GAP_MS + 1}`, 'open'])
})

test('a renewal that began before the gap proves nothing', async () => {
  const { fence, clock, settle } = setup()
  const began = clock.ms
  clock.ms += FENCE_GAP_MS + 1
  fence.tick()
  await settle()
  fence.leaseSettled(began)
  expect(fence.closed()).toBe(true)
  fence.leaseSettled(clock.ms)
  expect(fence.closed()).toBe(false)
})

test('a tunnel that gives no sign of life is let go, and the others wait no longer for it', async () => {
  const silent = new FencedTunnel()
  const { fence, clock, pass, settle } = setup(silent)
  clock.ms += FENCE_GAP_MS + 1
  fence.tick()
  fence.leaseSettled(clock.ms)
  for (let waited = 0; waited < FENCE_PONG_MS; waited += 1000) {
    expect(fence.closed()).toBe(true)
    pass(1000)
    fence.tick()
  }
  await settle()
  expect(silent.lost?.code).toBe('channel-lost')
  expect(fence.closed()).toBe(false)
})

test('a second gap within the first: whoever waited waits for both', async () => {
  const tunnel = new FencedTunnel()
  const { fence, clock, settle } = setup(tunnel)
  clock.ms += FENCE_GAP_MS + 1
  fence.tick()
  let lifted: unknown = 'waiting'
  void fence.lifted().settled.then((fault) => (lifted = fault))
  const first = tunnel.pong
  clock.ms += FENCE_GAP_MS + 1
  fence.tick()
  first()
  fence.leaseSettled(clock.ms)
  await settle()
  expect([fence.closed(), lifted]).toEqual([true, 'waiting'])
  tunnel.pong()
  await settle()
  expect([fence.closed(), lifted]).toEqual([false, undefined])
})

test('a task whose place another process has passes nothing on any more', async () => {
  const { fence, clock } = setup()
  fence.shut()
  fence.leaseSettled(clock.ms)
  expect(fence.closed()).toBe(true)
  expect(await fence.lifted().settled).toMatchObject({ code: 'tunnel-moved' })
})
