import { expect, test } from 'vitest'
import { FAULTS, type FaultCode, TunnelFault } from '../fault.ts'
import { faultOf, problemOf } from './problem.ts'

test('every fault of the table comes through a problem document as itself', () => {
  for (const code of Object.keys(FAULTS) as FaultCode[]) {
    const fault = new TunnelFault(code, code === 'internal-error' ? undefined : 'a detail', { retryAfterMs: 500 })
    expect(faultOf(JSON.parse(JSON.stringify(problemOf(fault, 'r-1'))))).toEqual(fault)
  }
})

test('it carries what a person needs, and nothing of the cause', () => {
  const fault = new TunnelFault('store-unavailable', 'Throttled.', { cause: new Error('canary') })
  const problem = problemOf(fault, 'r-1')
  expect(problem).toEqual({
    type: 'urn:postern:fault:store-unavailable',
    title: FAULTS['store-unavailable'].title,
    status: 503,
    detail: 'Throttled.',
    code: 'store-unavailable',
    advice: FAULTS['store-unavailable'].advice,
    requestId: 'r-1',
  })
  expect(JSON.stringify(problem)).not.toContain('canary')
})

test('the words of an unforeseen error stay inside', () => {
  expect(problemOf(new TunnelFault('internal-error', 'canary'), 'r-1').detail).toBeUndefined()
})

test.each([undefined, null, 'Bad gateway', {}, { code: 'no-such-code', title: 't', type: 't', status: 500 }])(
  '%j is no problem of ours',
  (body) => {
    expect(faultOf(body)).toBeUndefined()
  },
)
