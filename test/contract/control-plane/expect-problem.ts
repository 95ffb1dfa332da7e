/** A refusal as it is documented: status, type, and the words of the table of faults. */
import { type Problem, problemSchema } from '@postern/protocol/api'
import { FAULTS, type FaultCode } from '@postern/protocol/fault'
import { expect } from 'vitest'
import type { Answered } from './deployment.ts'

export function expectProblem({ status, headers, json: body }: Answered, code: FaultCode): Problem {
  const { title, advice, status: documented } = FAULTS[code]
  const problem = problemSchema.parse(body)
  expect(problem).toMatchObject({ code, title, advice, status: documented, requestId: headers.get('x-request-id') })
  expect([status, headers.get('content-type')]).toEqual([documented, 'application/problem+json'])
  return problem
}
