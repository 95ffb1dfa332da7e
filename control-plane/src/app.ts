/** The control plane as one app: which calls there are, and what each answer is. Knows nothing of what serves it. */
import { type Account, ticketRequestSchema } from '@postern/protocol/api'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import type { Context } from 'hono'
import { Hono } from 'hono/tiny'
import { ulid } from 'ulid'
import { authenticate, requireScope } from './authenticate.ts'
import { errorLine, jsonLog, masked } from './log.ts'
import { readBody } from './read-body.ts'
import { answer, refuse } from './respond.ts'
import type { ControlDeps } from './settings.ts'
import { issueTicket } from './tickets/issue-ticket.ts'

export { jsonLog, type Log, type LogEntry } from './log.ts'
export type { ControlDeps, Settings } from './settings.ts'

/** What is known of a request while it is answered. */
interface Call {
  requestId: string
  username?: string
  /** The methods of this path, where another one was asked for (RFC 9110 §15.5.6). */
  allow?: string
}
type Bindings = { Variables: { call: Call } }
type Handler = (c: Context<Bindings>, call: Call) => Promise<object>

/** The app; `fetch` is what serves it. Every answer is JSON, every refusal a problem document. */
export function createApp(deps: ControlDeps): Hono<Bindings> {
  const { now, random, log = jsonLog(process.stderr, now) } = deps
  const newId = (): string => ulid(now(), () => (random(1)[0] ?? 0) / 256)
  const newRequestId = (): string => Buffer.from(random(9)).toString('base64url')
  const whoAsks = (c: Context, call: Call) => authenticate(c, { ...deps, log, requestId: call.requestId })

  const ticket: Handler = async (c, call) => {
    const token = await whoAsks(c, call)
    call.username = token.username
    requireScope(token, 'tunnel')
    const request = await readBody(c, ticketRequestSchema)
    const sourceIp = deps.sourceIp(c)
    if (sourceIp === undefined) throw new TunnelFault('internal-error', 'The address of the caller is not known.')
    return issueTicket({ request, token, sourceIp }, { ...deps, newId })
  }

  const me: Handler = async (c, call) => {
    const token = await whoAsks(c, call)
    call.username = token.username
    const account: Account = {
      username: token.username,
      scopes: [...token.scopes],
      subdomains: [...(token.subdomains ?? [])],
      expiresAt: new Date(token.expiresAt).toISOString(),
    }
    return account
  }

  const CALLS: Record<string, Partial<Record<'GET' | 'POST', Handler>>> = {
    '/': { POST: ticket },
    '/v1/tickets': { POST: ticket },
    '/v1/me': { GET: me },
    '/healthz': { GET: async () => ({ status: 'ok' }) },
  }

  const app = new Hono<Bindings>()

  app.use(async (c, next) => {
    const call: Call = { requestId: deps.requestId?.(c) ?? newRequestId() }
    c.set('call', call)
    const start = performance.now()
    await next()
    const { status } = c.res
    const fault = c.error && toFault(c.error)
    log({
      level: status < 500 ? 'info' : 'error',
      message: 'request',
      requestId: call.requestId,
      username: call.username,
      method: c.req.method,
      path: masked(c.req.path),
      status,
      code: fault?.code,
      ip: deps.sourceIp(c),
      ms: Math.round(performance.now() - start),
      ...(status >= 500 && c.error && { error: errorLine(c.error) }),
    })
  })

  for (const [path, handlers] of Object.entries(CALLS)) {
    for (const [method, handle] of Object.entries(handlers)) {
      app.on(method, path, async (c) => {
        const call = c.get('call')
        return answer(await handle(c, call), call.requestId)
      })
    }
    const allow = Object.keys(handlers).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    app.all(path, (c) => {
      c.get('call').allow = allow.join(', ')
      throw new TunnelFault('method-not-allowed')
    })
  }
  app.all('*', () => {
    throw new TunnelFault('not-found')
  })

  app.onError((error, c) => {
    const { requestId, allow } = c.get('call')
    return refuse(toFault(error), requestId, allow === undefined ? {} : { allow })
  })
  return app
}
