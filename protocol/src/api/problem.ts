/** A fault as the control API says it (RFC 9457), and the fault again at the other end. */
import * as z from 'zod/mini'
import { FAULTS, isFaultCode, TunnelFault } from '../fault.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** Read leniently: a proxy on the way may answer in its own words, and a later service may say more. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.optional(z.string()),
  /** Of the closed table of faults. */
  code: z.string(),
  advice: z.optional(z.string()),
  requestId: z.optional(z.string()),
  retryAfterMs: z.optional(z.number()),
})

export type Problem = z.infer<typeof problemSchema>

/** What is told about `fault`. Its cause stays here: it may name things that are nobody else's business. */
export function problemOf(fault: TunnelFault, requestId: string): Problem {
  const { title, status, advice } = FAULTS[fault.code]
  return {
    type: `urn:postern:fault:${fault.code}`,
    title,
    status,
    // An unforeseen error's words were not written for strangers.
    ...(fault.detail !== undefined && fault.code !== 'internal-error' && { detail: fault.detail }),
    code: fault.code,
    advice,
    requestId,
    ...(fault.retryAfterMs !== undefined && { retryAfterMs: fault.retryAfterMs }),
  }
}

/** The fault that a problem document tells of, or undefined if `body` is none that this version knows. */
export function faultOf(body: unknown): TunnelFault | undefined {
  const problem = problemSchema.safeParse(body)
  if (!problem.success || !isFaultCode(problem.data.code)) return undefined
  const { code, detail, retryAfterMs } = problem.data
  return new TunnelFault(code, detail, retryAfterMs === undefined ? {} : { retryAfterMs })
}
