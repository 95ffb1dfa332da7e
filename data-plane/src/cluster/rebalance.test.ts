import { REBALANCE_LEAST, REBALANCE_UNTIL } from '@postern/protocol/limits'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Balance, stepBalance } from './rebalance.ts'

test('a task alone, or with little more than its share, keeps what it has', () => {
  expect(stepBalance('even', 5000, [])).toEqual({ balance: 'even', shed: 0 })
  expect(stepBalance('even', 110, [90])).toEqual({ balance: 'even', shed: 0 })
  expect(stepBalance('even', REBALANCE_LEAST * 2 - 1, [0])).toEqual({ balance: 'even', shed: 0 })
})

test('after a task was added the full ones give away a little at a time, until they are close to the mean, and no further', () => {
  const loads = [1000, 1000, 0]
  const balances: Balance[] = ['even', 'even', 'even']
  let rounds = 0
  for (let moved = 1; moved > 0; rounds += 1) {
    moved = 0
    for (const index of loads.keys()) {
      const others = loads.filter((_, other) => other !== index)
      const { balance, shed } = stepBalance(balances[index]!, loads[index]!, others)
      balances[index] = balance
      expect(shed).toBeLessThanOrEqual(20)
      loads[index]! -= shed
      moved += shed
      // A balancer leads them anywhere but where they come from.
      for (let i = 0; i < shed; i += 1) loads[(index + 1 + (i % 2)) % 3]! += 1
    }
    expect(rounds).toBeLessThan(500)
  }
  const mean = 2000 / 3
  expect(Math.max(...loads)).toBeLessThanOrEqual(Math.ceil(mean * REBALANCE_UNTIL) + 20)
  expect(balances).toEqual(['even', 'even', 'even'])
})

test('nobody ever gives away so many that it falls below the mean', () => {
  const load = fc.nat(20_000)
  fc.assert(
    fc.property(
      fc.constantFrom<Balance>('even', 'shedding'),
      load,
      fc.array(load, { maxLength: 10 }),
      (from, own, others) => {
        const { shed } = stepBalance(from, own, others)
        const mean = others.reduce((sum, each) => sum + each, own) / (others.length + 1)
        expect(shed === 0 || own - shed >= Math.floor(mean)).toBe(true)
      },
    ),
  )
})
