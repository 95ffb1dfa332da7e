import { TunnelFault } from '@postern/protocol/fault'
import { QUEUED_PER_NODE, QUEUED_PER_TUNNEL } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { QueuePlaces } from './queue-places.ts'
import { type QueuedRequest, StreamQueue } from './stream-queue.ts'

/** A tunnel with `free` streams, and requests that wait for one. */
function tunnelWith(free: number, places = new QueuePlaces(), tenant?: string) {
  const queue = new StreamQueue(places, tenant)
  const served: string[] = []
  const displaced: string[] = []
  const state = { free, asked: 0 }
  /** The leaving; undefined if it was served, or may not wait. */
  const ask = (addressKey: string, name: string): (() => void) | undefined => {
    const tryNow = (): (() => void) | undefined => {
      state.asked += 1
      try {
        queue.guard()
      } catch {
        return queue.enter(request)
      }
      if (state.free === 0) return queue.enter(request)
      state.free -= 1
      served.push(name)
      return undefined
    }
    const request: QueuedRequest = {
      addressKey,
      retry: () => void tryNow(),
      displaced: () => displaced.push(name),
    }
    return tryNow()
  }
  const release = async (streams = 1): Promise<void> => {
    state.free += streams
    queue.freed()
    await Promise.resolve()
  }
  return { queue, served, displaced, state, ask, release }
}

test('each address has its turn, whatever the number of its requests', async () => {
  const { served, ask, release } = tunnelWith(0)
  for (const n of [1, 2, 3, 4]) ask('crowd', `crowd ${n}`)
  ask('guest', 'guest 1')
  ask('other', 'other 1')
  for (let i = 0; i < 6; i++) await release()
  expect(served).toEqual(['crowd 1', 'guest 1', 'other 1', 'crowd 2', 'crowd 3', 'crowd 4'])
})

test('several streams that are free at once serve as many', async () => {
  const { served, ask, release, queue } = tunnelWith(0)
  for (const n of [1, 2, 3]) ask('a', `${n}`)
  await release(2)
  expect(served).toEqual(['1', '2'])
  expect(queue.size).toBe(1)
})

test('a request that finds no stream after all keeps its place', async () => {
  const { served, ask, release, queue } = tunnelWith(0)
  ask('a', 'first')
  ask('b', 'second')
  ask('a', 'third')
  queue.freed()
  await Promise.resolve()
  expect([served, queue.size]).toEqual([[], 3])
  for (let i = 0; i < 3; i++) await release()
  expect(served).toEqual(['first', 'second', 'third'])
})

test('a newcomer does not overtake those that wait', async () => {
  const { queue, ask, release, served } = tunnelWith(0)
  ask('a', 'waits')
  expect(() => queue.guard()).toThrow(new TunnelFault('streams-exhausted'))
  const released = release()
  ask('b', 'newcomer')
  await released
  expect(served).toEqual(['waits'])
  await release()
  expect(served).toEqual(['waits', 'newcomer'])
})

test('a request that leaves is not served; leaving twice, and after it was served, is harmless', async () => {
  const { queue, ask, release, served } = tunnelWith(0)
  const leave = ask('a', 'gone')!
  const late = ask('a', 'stays')!
  leave()
  leave()
  expect(queue.size).toBe(1)
  await release()
  expect(served).toEqual(['stays'])
  late()
  expect(queue.size).toBe(0)
})

test('a sweep asks one request of each address, and goes on with those that find a stream', () => {
  const { queue, ask, served, state } = tunnelWith(0)
  for (const n of [1, 2, 3]) ask('a', `a${n}`)
  for (const n of [1, 2]) ask('b', `b${n}`)
  ask('c', 'c1')
  state.asked = 0
  queue.sweep()
  expect([state.asked, queue.size]).toEqual([3, 6])
  state.free = 4
  queue.sweep()
  expect(served).toEqual(['a1', 'b1', 'c1', 'a2'])
  expect(queue.size).toBe(2)
})

test('an address that cannot be served does not keep a sweep from the others', () => {
  const queue = new StreamQueue()
  const asked: string[] = []
  const request = (addressKey: string, found: boolean): QueuedRequest => {
    const self: QueuedRequest = {
      addressKey,
      retry: () => {
        asked.push(addressKey)
        if (!found) queue.enter(self)
      },
      displaced: () => expect.unreachable(),
    }
    return self
  }
  for (const [key, found] of [
    ['crowd', false],
    ['guest', true],
    ['other', false],
  ] as const)
    queue.enter(request(key, found))
  queue.sweep()
  expect([asked, queue.size]).toEqual([['crowd', 'guest', 'other'], 2])
})

test('what a request throws ends its own waiting only', async () => {
  const queue = new StreamQueue()
  const broken: QueuedRequest = {
    addressKey: 'a',
    retry: () => {
      throw new Error('broken')
    },
    displaced: () => {},
  }
  queue.enter(broken)
  expect(() => queue.sweep()).toThrow('broken')
  expect(queue.size).toBe(0)
  expect(() => queue.guard()).not.toThrow()
})

test('where all places are taken, the address with the most gives up its latest for one with fewer', () => {
  const { queue, ask, displaced } = tunnelWith(0)
  ask('other', 'other 1')
  for (let n = 1; n < QUEUED_PER_TUNNEL; n++) ask('crowd', `crowd ${n}`)
  expect(queue.size).toBe(QUEUED_PER_TUNNEL)
  expect(ask('guest', 'guest 1')).toBeDefined()
  expect(ask('crowd', 'crowd more')).toBeUndefined()
  expect(queue.size).toBe(QUEUED_PER_TUNNEL)
  expect(displaced).toEqual([`crowd ${QUEUED_PER_TUNNEL - 1}`])
})

test('where every address has one place of those that are taken, one more address may not wait', () => {
  const { queue, ask, displaced } = tunnelWith(0)
  for (let n = 0; n < QUEUED_PER_TUNNEL; n++) ask(`${n}`, `${n}`)
  expect(ask('late', 'late')).toBeUndefined()
  expect([queue.size, displaced]).toEqual([QUEUED_PER_TUNNEL, []])
})

test('where all places of the node are taken, the tunnel with the most gives up one for a tunnel with fewer', () => {
  const places = new QueuePlaces()
  const tunnels = Array.from({ length: QUEUED_PER_NODE / QUEUED_PER_TUNNEL }, () => tunnelWith(0, places))
  for (const { ask } of tunnels) for (let n = 0; n < QUEUED_PER_TUNNEL; n++) ask(`${n % 7}`, `${n}`)
  const small = tunnelWith(0, places)
  const leave = small.ask('a', 'a 1')!
  expect(leave).toBeDefined()
  expect(tunnels.map(({ displaced }) => displaced.length)).toEqual([1, 0])
  // The tunnel without a displaced request is at its own ceiling, and gives up one of its own.
  expect(tunnels[1]!.ask('new', 'new')).toBeDefined()
  expect(tunnels[1]!.displaced).toHaveLength(1)
  const sizes = () => tunnels.map(({ queue }) => queue.size)
  expect(sizes()).toEqual([QUEUED_PER_TUNNEL - 1, QUEUED_PER_TUNNEL])
  leave()
  expect(tunnels[0]!.ask('new', 'new')).toBeDefined()
  expect(sizes()).toEqual([QUEUED_PER_TUNNEL, QUEUED_PER_TUNNEL])
})

test('a tenant that has all places of the node by many tunnels with one request each gives one up for another tenant', () => {
  const places = new QueuePlaces()
  const tunnels = Array.from({ length: QUEUED_PER_NODE }, () => tunnelWith(0, places, 'mallory'))
  for (const { ask } of tunnels) ask('a', 'a')
  const { ask, queue } = tunnelWith(0, places, 'alice')
  expect([ask('b', 'b 1'), ask('b', 'b 2')]).not.toContain(undefined)
  expect([queue.size, tunnels.flatMap(({ displaced }) => displaced)]).toEqual([2, ['a', 'a']])
})
