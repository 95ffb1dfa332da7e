import type { Subdomain } from '@postern/protocol/address'
import { HELD_PER_NAME, HELD_PER_TASK } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import type { Route } from '../route/route.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { type Guest, WaitingRoom } from './waiting-room.ts'

const demo = 'demo' as Subdomain
const HOLD_MS = 1000

/** A room over a clock of the test's own. */
function setup(tenantOf: (name: Subdomain) => string = () => 'alice') {
  const clock = { ms: 5000 }
  const timers = new Set<{ at: number; run: () => void }>()
  const backs = new Map<Subdomain, Set<(route: Route) => void>>()
  const hold = { ms: HOLD_MS }
  let held = 0
  const room = new WaitingRoom({
    routes: {
      holdMs: () => hold.ms,
      tenantOf,
      whenBack(name, back) {
        const waiting = backs.get(name) ?? new Set()
        backs.set(name, waiting.add(back))
        return () => void waiting.delete(back)
      },
    },
    now: () => clock.ms,
    after(ms, run) {
      const timer = { at: clock.ms + ms, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    counts: {
      held() {
        held += 1
      },
    },
  })
  return {
    room,
    hold,
    timers,
    waiters: () => [...backs.values()].reduce((sum, { size }) => sum + size, 0),
    held: () => held,
    back(name: Subdomain, route: Route) {
      const waiting = [...(backs.get(name) ?? [])]
      backs.delete(name)
      for (const tell of waiting) tell(route)
    },
    pass(ms: number) {
      const until = clock.ms + ms
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.at - b.at)
        if (next === undefined || next.at > until) break
        clock.ms = next.at
        timers.delete(next)
        next.run()
      }
      clock.ms = until
    },
  }
}

/** A guest that notes what became of it. */
function guest(name: string, heard: string[], then?: () => void, addressKey = 'a'): Guest {
  const note = (what: string): void => {
    heard.push(`${name} ${what}`)
    then?.()
  }
  return {
    addressKey,
    admit: () => note('admitted'),
    turnAway: () => note('turned away'),
    displaced: () => note('displaced'),
  }
}

test('all who wait for a name are let in by its next channel at once, in the order they came', () => {
  const { room, back, pass, waiters, timers } = setup()
  const heard: string[] = []
  for (const name of ['first', 'second', 'third']) {
    room.enter(demo, guest(name, heard))
    pass(10)
  }
  room.enter('other' as Subdomain, guest('other', heard))
  expect([waiters(), timers.size, room.size]).toEqual([2, 2, 4])
  back(demo, new ScriptedRoute())
  expect(heard).toEqual(['first admitted', 'second admitted', 'third admitted'])
  expect([waiters(), timers.size, room.size]).toEqual([1, 1, 1])
})

test('each waits its own time, and not a millisecond less', () => {
  const { room, pass, waiters, timers, held } = setup()
  const heard: string[] = []
  room.enter(demo, guest('first', heard))
  pass(400)
  room.enter(demo, guest('second', heard))
  pass(HOLD_MS - 401)
  expect(heard).toEqual([])
  pass(1)
  expect(heard).toEqual(['first turned away'])
  pass(399)
  expect(heard).toHaveLength(1)
  pass(1)
  expect(heard).toEqual(['first turned away', 'second turned away'])
  expect([waiters(), timers.size, room.size, held()]).toEqual([0, 0, 0, 2])
})

test('who may not wait at all is told so, and leaves nothing behind', () => {
  const { room, hold, waiters, timers, held } = setup()
  hold.ms = 0
  expect(room.enter(demo, guest('nobody', []))).toBeUndefined()
  expect([waiters(), timers.size, room.size, held()]).toEqual([0, 0, 0, 0])
})

test('who leaves frees its place at once, once, and hears nothing more; the last one takes timer and waiter along', () => {
  const { room, pass, back, waiters, timers } = setup()
  const heard: string[] = []
  const leave = room.enter(demo, guest('first', heard))!
  const leaveToo = room.enter(demo, guest('second', heard))!
  leave()
  leave()
  expect(room.size).toBe(1)
  leaveToo()
  expect([waiters(), timers.size, room.size]).toEqual([0, 0, 0])
  room.enter(demo, guest('third', heard))
  leave()
  leaveToo()
  expect(room.size).toBe(1)
  pass(HOLD_MS / 2)
  back(demo, new ScriptedRoute())
  pass(HOLD_MS)
  expect(heard).toEqual(['third admitted'])
})

test('one name holds HELD_PER_NAME requests, and a place that becomes free is given again', () => {
  const { room } = setup()
  const leaves = Array.from({ length: HELD_PER_NAME }, () => room.enter(demo, guest('one', [])))
  expect(leaves.every((leave) => leave !== undefined)).toBe(true)
  expect(room.enter(demo, guest('one too many', []))).toBeUndefined()
  expect(room.enter('other' as Subdomain, guest('of another name', []))).toBeDefined()
  leaves[7]!()
  expect(room.enter(demo, guest('after it', []))).toBeDefined()
  expect(room.enter(demo, guest('one too many', []))).toBeUndefined()
})

test('one task holds HELD_PER_TASK requests', () => {
  const { room } = setup()
  let taken = 0
  for (let index = 0; index < HELD_PER_TASK + 50; index += 1)
    if (room.enter(`name-${index % 20}` as Subdomain, guest('one', [])) !== undefined) taken += 1
  expect([taken, room.size]).toEqual([HELD_PER_TASK, HELD_PER_TASK])
})

test('who is let in or turned away may come again at once: the place is free by then', () => {
  const { room, back, pass, waiters, timers } = setup()
  const heard: string[] = []
  const again = (): void => void room.enter(demo, guest('again', heard))
  room.enter(demo, guest('first', heard, again))
  room.enter(demo, guest('second', heard, again))
  back(demo, new ScriptedRoute())
  expect(heard).toEqual(['first admitted', 'second admitted'])
  expect([waiters(), timers.size, room.size]).toEqual([1, 1, 2])
  room.enter(demo, guest('third', heard, again))
  pass(HOLD_MS)
  expect(heard.slice(2)).toEqual(['again turned away', 'again turned away', 'third turned away'])
  expect([waiters(), timers.size, room.size]).toEqual([1, 1, 1])
  pass(HOLD_MS)
  expect([waiters(), timers.size, room.size]).toEqual([0, 0, 0])
})

test('where all places of the node are taken, the tenant that has the most gives one up, then its largest name', () => {
  const { room } = setup((name) => (name.startsWith('greedy') ? 'mallory' : name))
  const heard: string[] = []
  for (let index = 0; index < HELD_PER_TASK; index += 1)
    room.enter(`greedy-${index % 16}` as Subdomain, guest(`greedy-${index % 16}`, heard))
  expect(room.enter('alice' as Subdomain, guest('alice', heard))).toBeDefined()
  expect(room.enter('bob' as Subdomain, guest('bob', heard))).toBeDefined()
  // 1000 requests are 63 of each of the first eight names, and 62 of each of the others.
  expect(heard).toEqual(['greedy-0 displaced', 'greedy-1 displaced'])
  expect(room.enter('greedy-3' as Subdomain, guest('greedy-3', heard))).toBeUndefined()
  expect([room.size, heard.length]).toEqual([HELD_PER_TASK, 2])
})

test('many names of one request each leave a place to another tenant, and those that are displaced leave nothing behind', () => {
  const { room, timers, waiters } = setup((name) => (name.startsWith('greedy') ? 'mallory' : name))
  const heard: string[] = []
  for (let index = 0; index < HELD_PER_TASK; index += 1)
    room.enter(`greedy-${index}` as Subdomain, guest('greedy', heard))
  expect(room.enter('alice' as Subdomain, guest('alice', heard))).toBeDefined()
  expect([heard, room.size, timers.size, waiters()]).toEqual([
    ['greedy displaced'],
    HELD_PER_TASK,
    HELD_PER_TASK,
    HELD_PER_TASK,
  ])
})

test('where all places of a name are taken, the address that has the most gives its latest one up', () => {
  const { room } = setup()
  const heard: string[] = []
  for (let index = 0; index < HELD_PER_NAME; index += 1)
    room.enter(demo, guest(`crowd ${index}`, heard, undefined, 'crowd'))
  expect(room.enter(demo, guest('visitor', heard, undefined, 'visitor'))).toBeDefined()
  expect(room.enter(demo, guest('crowd again', heard, undefined, 'crowd'))).toBeUndefined()
  expect([heard, room.size]).toEqual([[`crowd ${HELD_PER_NAME - 1} displaced`], HELD_PER_NAME])
})
