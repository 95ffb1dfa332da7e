import { expect, test } from 'vitest'
import { MemoryGuard, type Yielding } from './memory-guard.ts'

class Holder implements Yielding {
  refusing = false
  readonly tenant: string
  readonly stalled: number[]

  constructor(tenant: string, ...stalled: number[]) {
    this.tenant = tenant
    this.stalled = stalled
  }

  get heldBytes(): number {
    return this.stalled.reduce((sum, bytes) => sum + bytes, 0)
  }

  resetLongestStalled(): boolean {
    return this.stalled.shift() !== undefined
  }
}

function guard(...holders: Holder[]) {
  const resets: Holder[] = []
  const memory = new MemoryGuard({ holders: () => holders, memoryLimit: 100, reset: (holder) => resets.push(holder) })
  return { memory, resets }
}

test('half of the memory may be held by anybody', () => {
  const greedy = new Holder('greedy', 30, 20)
  const { memory, resets } = guard(greedy, new Holder('modest'))
  memory.check()
  expect(greedy.refusing).toBe(false)
  expect(resets).toEqual([])
})

test('above half, the channel that holds most gets no new streams until it does no longer', () => {
  const greedy = new Holder('greedy', 20, 20)
  const modest = new Holder('modest', 15)
  const { memory } = guard(greedy, modest)
  memory.check()
  expect([greedy.refusing, modest.refusing]).toEqual([true, false])
  greedy.stalled.pop()
  memory.check()
  expect(greedy.refusing).toBe(false)
})

test('above three quarters its longest-stalled streams are reset until that is enough', () => {
  const greedy = new Holder('greedy', 10, 30, 20)
  const modest = new Holder('modest', 25)
  const { memory, resets } = guard(greedy, modest)
  memory.check()
  expect(resets).toEqual([greedy])
  expect(greedy.stalled).toEqual([30, 20])
  expect(modest.stalled).toEqual([25])
})

test('it ends even if nothing can be reset', () => {
  const stuck = new Holder('stuck', 90)
  stuck.resetLongestStalled = () => false
  const { memory, resets } = guard(stuck)
  memory.check()
  expect(resets).toEqual([])
})

test('who spreads over many channels pays before a tenant with one that holds more than each of them', () => {
  const spread = [new Holder('greedy', 15), new Holder('greedy', 5, 12), new Holder('greedy', 16)]
  const modest = new Holder('modest', 20, 10)
  const { memory, resets } = guard(modest, ...spread)
  memory.check()
  expect(resets).toEqual([spread[1]])
  expect(modest.stalled).toEqual([20, 10])
  expect([modest.refusing, ...spread.map(({ refusing }) => refusing)]).toEqual([false, false, false, true])
})
