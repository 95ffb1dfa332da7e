/** Answers of the control API: problem documents, and the fields that every answer has. */
import { PROBLEM_TYPE, problemOf } from '@postern/protocol/api'
import type { TunnelFault } from '@postern/protocol/fault'
import { BUSY_RETRY_MS } from '@postern/protocol/limits'

/** Tickets carry keys: nothing on the way may keep an answer. */
const ALWAYS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

/** Without a body where there is nothing to say (204). */
export const answer = (status: number, body: object | undefined, requestId: string): Response =>
  new Response(body === undefined ? null : JSON.stringify(body), {
    status,
    headers: {
      ...ALWAYS,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      'x-request-id': requestId,
    },
  })

/** `fault` as a problem document (RFC 9457), with the fields its status asks for (RFC 9110 §11.6.1, §10.2.3; RFC 6585 §4). */
export function refuse(fault: TunnelFault, requestId: string, more: Record<string, string> = {}): Response {
  const headers: Record<string, string> = {
    ...ALWAYS,
    'content-type': PROBLEM_TYPE,
    'x-request-id': requestId,
    ...more,
  }
  if (fault.status === 401) {
    // RFC 6750 §3.1: no error code where no token was sent.
    headers['www-authenticate'] = fault.code === 'token-missing' ? 'Bearer' : 'Bearer error="invalid_token"'
  }
  if (fault.status === 503 || fault.status === 429) {
    headers['retry-after'] = String(Math.ceil((fault.retryAfterMs ?? BUSY_RETRY_MS) / 1000))
  }
  return new Response(JSON.stringify(problemOf(fault, requestId)), { status: fault.status, headers })
}
