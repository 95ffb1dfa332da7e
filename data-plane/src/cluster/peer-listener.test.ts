import type { Subdomain } from '@postern/protocol/address'
import { afterEach, expect, test } from 'vitest'
import { PeerPair } from '../testing/peer-pair.ts'

let pair: PeerPair

afterEach(() => pair.stop())

test('a claim whose channel is about to end is told to the task that has something under way on it, and no other claim is', async () => {
  pair = await PeerPair.start()
  const [one, other] = [pair.routeTo('demo', 7), pair.routeTo('demo', 8)]
  const leases = [await pair.begin(one), await pair.begin(one), await pair.begin(other)]
  const ending = pair.nextEnding()
  pair.holder.ending({ name: 'demo' as Subdomain, epoch: 7 })
  expect(await ending).toBe(one)
  expect(pair.ending).toEqual([one])
  for (const lease of leases) lease.stream.reset()
})

test('a task that stops tells it of all claims when their time is over, and waits for what is ended then', async () => {
  pair = await PeerPair.start()
  const [one, other] = [pair.routeTo('demo', 7), pair.routeTo('other', 1)]
  const leases = [await pair.begin(one), await pair.begin(other)]
  const ending = pair.nextEnding()
  let over = false
  // On a clock that stands still only what has ended ends it.
  const drained = pair.holder.drain(0, 60_000).then(() => {
    over = true
  })
  expect(pair.ending).toEqual([])
  await ending
  expect(pair.ending).toEqual([one, other])
  leases[0]!.stream.reset()
  await pair.local.leases[0]!.stream.until(({ state }) => state === 'reset')
  expect(over).toBe(false)
  leases[1]!.stream.reset()
  await drained
  expect(over).toBe(true)
})
