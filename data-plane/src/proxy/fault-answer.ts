/** The answer a visitor gets from us when there is none from the local server: a page, JSON or text. Knows nothing of sockets. */
import { STATUS_CODES } from 'node:http'
import { FAULTS, type TunnelFault } from '@postern/protocol/fault'
import { acceptedForm, type Form } from './accepted-form.ts'
import { type FaultFacts, faultPage, PAGE_POLICY } from './fault-page.ts'

export interface FaultAnswerOptions {
  /** The request's Accept field; decides the form. */
  readonly accept: string | undefined
  readonly method: string
  readonly requestId: string
  /** Whether the connection goes on after this answer. */
  readonly keepAlive: boolean
  /** The value of Server-Timing; '' or undefined: nothing is known. */
  readonly serverTiming?: string
}

/**
 * A whole HTTP/1.1 response for `fault`. It holds nothing of the request but the id that we gave it: texts come from the
 * table, so there is nothing to escape. `detail` is sent only for faults of the visitor's own making (4xx).
 */
export function faultAnswer(fault: TunnelFault, options: FaultAnswerOptions): Buffer {
  const { status, title, advice } = FAULTS[fault.code]
  const detail = status < 500 ? fault.detail : undefined
  const facts: FaultFacts = { code: fault.code, status, title, advice, detail, requestId: options.requestId }
  const form = acceptedForm(options.accept)
  const [type, body] = inForm(form, facts)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    `Date: ${new Date().toUTCString()}`,
    `Content-Type: ${type}; charset=utf-8`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Vary: Accept',
    'X-Content-Type-Options: nosniff',
    `tunnel-error: ${fault.code}`,
    `Postern-Request-Id: ${options.requestId}`,
  ]
  if (form === 'page') head.push(`Content-Security-Policy: ${PAGE_POLICY}`)
  if (options.serverTiming) head.push(`Server-Timing: ${options.serverTiming}`)
  if (status === 405) head.push('Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  // RFC 7617 §2: names and passwords are taken as UTF-8.
  if (status === 401) head.push('WWW-Authenticate: Basic realm="tunnel", charset="UTF-8"')
  if (status === 503 || status === 429) head.push(`Retry-After: ${Math.ceil((fault.retryAfterMs ?? 2000) / 1000)}`)
  head.push(options.keepAlive ? 'Connection: keep-alive' : 'Connection: close')
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${options.method === 'HEAD' ? '' : body}`)
}

function inForm(form: Form, facts: FaultFacts): [type: string, body: string] {
  switch (form) {
    case 'json':
      return ['application/problem+json', `${JSON.stringify(problem(facts))}\n`]
    case 'page':
      return ['text/html', faultPage(facts)]
    case 'text':
      return ['text/plain', `${sentences(facts)}\n${facts.code} · request ${facts.requestId}\n`]
  }
}

/** RFC 9457. */
const problem = ({ code, status, title, detail, advice, requestId }: FaultFacts) => ({
  type: `urn:postern:fault:${code}`,
  title,
  status,
  code,
  ...(detail === undefined ? {} : { detail }),
  advice,
  requestId,
})

const sentences = ({ title, detail, advice }: FaultFacts): string => [title, detail, advice].filter(Boolean).join('\n')
