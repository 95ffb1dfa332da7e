import { expect, test } from 'vitest'
import { VisitorCeilings } from './visitor-ceilings.ts'

test('an address has its ceiling, and another one is not in its way', () => {
  const ceilings = new VisitorCeilings({ perAddress: 2 })
  const leave = ceilings.enterFrom('203.0.113.9')
  expect(ceilings.enterFrom('203.0.113.9')).toBeDefined()
  expect(ceilings.enterFrom('203.0.113.9')).toBeUndefined()
  expect(ceilings.enterFrom('203.0.113.10')).toBeDefined()
  leave!()
  expect(ceilings.enterFrom('203.0.113.9')).toBeDefined()
})

test('nothing stays of an address that nobody comes from any more', () => {
  const ceilings = new VisitorCeilings()
  const leaving = Array.from({ length: 100 }, (_, index) => ceilings.enterFrom(`198.51.100.${index % 10}`))
  expect(ceilings.addresses).toBe(10)
  for (const leave of leaving) leave!()
  expect(ceilings.addresses).toBe(0)
})
