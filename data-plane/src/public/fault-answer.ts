/** The answer a visitor gets from us when there is none from the local server: a page, JSON or text. Knows nothing of sockets. */
import { STATUS_CODES } from 'node:http'
import { FAULTS, type TunnelFault } from '@postern/protocol/fault'

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
  const facts: Facts = { code: fault.code, status, title, advice, detail, requestId: options.requestId }
  const [type, body] = inForm(preferredForm(options.accept), facts)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    `Date: ${new Date().toUTCString()}`,
    `Content-Type: ${type}; charset=utf-8`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    `tunnel-error: ${fault.code}`,
    `X-Request-Id: ${options.requestId}`,
  ]
  if (options.serverTiming) head.push(`Server-Timing: ${options.serverTiming}`)
  if (status === 405) head.push('Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  // RFC 7617 §2: names and passwords are taken as UTF-8.
  if (status === 401) head.push('WWW-Authenticate: Basic realm="tunnel", charset="UTF-8"')
  if (status === 503 || status === 429) head.push(`Retry-After: ${Math.ceil((fault.retryAfterMs ?? 2000) / 1000)}`)
  head.push(options.keepAlive ? 'Connection: keep-alive' : 'Connection: close')
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${options.method === 'HEAD' ? '' : body}`)
}

interface Facts {
  readonly code: string
  readonly status: number
  readonly title: string
  readonly advice: string
  readonly detail: string | undefined
  readonly requestId: string
}

type Form = 'page' | 'json' | 'text'

/** Browsers name text/html; programs that want JSON say so; everybody else reads text. */
function preferredForm(accept: string | undefined): Form {
  if (accept === undefined) return 'text'
  const at = (type: string): number => {
    const index = accept.toLowerCase().indexOf(type)
    return index < 0 ? Infinity : index
  }
  const json = Math.min(at('application/json'), at('application/problem+json'))
  const page = at('text/html')
  if (json === Infinity && page === Infinity) return 'text'
  return json < page ? 'json' : 'page'
}

function inForm(form: Form, facts: Facts): [type: string, body: string] {
  switch (form) {
    case 'json':
      return ['application/problem+json', `${JSON.stringify(problem(facts))}\n`]
    case 'page':
      return ['text/html', page(facts)]
    case 'text':
      return ['text/plain', `${sentences(facts)}\n${facts.code} · request ${facts.requestId}\n`]
  }
}

/** RFC 9457. */
const problem = ({ code, status, title, detail, advice, requestId }: Facts) => ({
  type: `urn:postern:fault:${code}`,
  title,
  status,
  code,
  ...(detail === undefined ? {} : { detail }),
  advice,
  requestId,
})

const sentences = ({ title, detail, advice }: Facts): string => [title, detail, advice].filter(Boolean).join('\n')

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const page = ({ code, status, title, detail, advice, requestId }: Facts): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${status} ${escapeHtml(title)}</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 18vh auto 0; padding: 0 1.5rem }
  h1 { font-size: 1.4rem; margin: 0 0 .5rem }
  small { opacity: .65 }
</style>
<h1>${escapeHtml(title)}</h1>
${detail === undefined ? '' : `<p>${escapeHtml(detail)}</p>\n`}<p>${escapeHtml(advice)}</p>
<small>${status} · <code>${code}</code> · request ${escapeHtml(requestId)}</small>
</html>
`
