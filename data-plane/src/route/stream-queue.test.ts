import { TunnelFault } from '@postern/protocol/fault'
import { QUEUED_PER_TUNNEL } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { StreamQueue } from './stream-queue.ts'

/** A tunnel with `free` streams, and requests that wait for one. */
function tunnelWith(free: number) {
  const queue = new StreamQueue()
  const served: string[] = []
  const state = { free }
  const ask = (key: string, name: string): (() => void) | undefined => {
    try {
      queue.guard()
    } catch {
      return queue.enter(key, () => void ask(key, name))
    }
    if (state.free === 0) return queue.enter(key, () => void ask(key, name))
    state.free -= 1
    served.push(name)
    return undefined
  }
  const release = async (streams = 1): Promise<void> => {
    state.free += streams
    queue.freed()
    await Promise.resolve()
  }
  return { queue, served, ask, release }
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
  queue.freed()
  await Promise.resolve()
  expect(served).toEqual([])
  await release()
  await release()
  expect(served).toEqual(['first', 'second'])
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

test('a request that leaves is not served; leaving twice is harmless', async () => {
  const { queue, ask, release, served } = tunnelWith(0)
  const leave = ask('a', 'gone')!
  ask('a', 'stays')
  leave()
  leave()
  expect(queue.size).toBe(1)
  await release()
  expect(served).toEqual(['stays'])
  leave()
  expect(queue.size).toBe(0)
})

test('no more wait than the limit', () => {
  const { queue } = tunnelWith(0)
  for (let n = 0; n < QUEUED_PER_TUNNEL; n++) expect(queue.enter(`${n % 7}`, () => {})).toBeDefined()
  expect(queue.enter('late', () => {})).toBeUndefined()
})
