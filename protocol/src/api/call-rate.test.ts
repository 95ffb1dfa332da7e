import { expect, test } from 'vitest'
import { FUNCTION_CONCURRENCY, TICKET_CALLS } from '../limits.ts'
import { callRateOf } from './call-rate.ts'
import { OPERATIONS, type Operation, type OperationId } from './operations.ts'

const ids = Object.keys(OPERATIONS) as OperationId[]

test('every operation has a rate, and a ticket that of the agents of a deployment', () => {
  expect(callRateOf('issueTicket').perSecond).toBeGreaterThan(10_000 / 60)
  for (const id of ids) expect(Math.min(callRateOf(id).perSecond, callRateOf(id).atOnce)).toBeGreaterThan(0)
})

test('nobody without a token shares a rate with administrators and owners', () => {
  const administrative = ids.filter((id) => ['admin', 'owner'].includes((OPERATIONS[id] as Operation).who))
  const rates = new Set(administrative.map(callRateOf))
  expect([administrative.length > 10, rates.size]).toEqual([true, 1])
  for (const id of ids.filter((each) => !administrative.includes(each))) expect(rates.has(callRateOf(id))).toBe(false)
})

test('tickets of 200 ms each leave executions to administrators', () => {
  const busy = TICKET_CALLS.atOnce + TICKET_CALLS.perSecond * 0.2
  expect(FUNCTION_CONCURRENCY - busy).toBeGreaterThanOrEqual(50)
})
