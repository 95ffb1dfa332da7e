/** The control plane as one app: every operation at its address, every refusal a problem document. Knows nothing of what serves it. */
import { OPERATIONS, type Operation, type OperationId } from '@postern/protocol/api'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { Hono } from 'hono/tiny'
import { ulid } from 'ulid'
import { type CarryOutDeps, carryOut, type Seen } from './carry-out.ts'
import { failedAuthLimit } from './failed-auth.ts'
import { errorLine, jsonLog, masked, stackOf } from './log.ts'
import { routePattern } from './read-params.ts'
import { refuse } from './respond.ts'
import type { ControlDeps } from './settings.ts'

export { jsonLog, type Log, type LogEntry } from './log.ts'
export type { ControlDeps, Settings } from './settings.ts'
export { Grants } from './tickets/grants.ts'

type Bindings = { Variables: { seen: Seen } }

/** The app; `fetch` is what serves it. */
export function createApp(given: ControlDeps): Hono<Bindings> {
  const { now, random, log = jsonLog(process.stderr, now), measure } = given
  const newId = (): string => ulid(now(), () => (random(1)[0] ?? 0) / 256)
  const newRequestId = (): string => Buffer.from(random(9)).toString('base64url')
  const deps: CarryOutDeps = { ...given, log, newId, limitFailures: failedAuthLimit(given, log) }

  const app = new Hono<Bindings>()

  app.use(async (c, next) => {
    const seen: Seen = { requestId: deps.requestId?.(c) ?? newRequestId() }
    c.set('seen', seen)
    const start = performance.now()
    await next()
    const ms = Math.round((performance.now() - start) * 10) / 10
    const { requestId, operation, username } = seen
    const { status } = c.res
    const code = c.error && toFault(c.error).code
    log({
      level: status < 500 ? 'info' : 'error',
      message: 'request',
      requestId,
      username,
      operation,
      method: c.req.method,
      path: masked(c.req.path),
      status,
      code,
      ip: deps.sourceIp(c),
      ms,
      ...(status >= 500 && c.error && { error: errorLine(c.error) }),
      ...(code === 'internal-error' && { stack: stackOf(c.error) }),
    })
    measure?.({ operation: operation ?? 'none', status, code, ms, requestId })
  })

  const methods = new Map<string, Operation['method'][]>()
  for (const [id, operation] of Object.entries(OPERATIONS) as [OperationId, Operation][]) {
    const path = routePattern(operation)
    app.on(operation.method, path, (c) => carryOut(c, id, c.get('seen'), deps))
    methods.set(path, [...(methods.get(path) ?? []), operation.method])
  }
  for (const [path, served] of methods) {
    const allow = served.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
    app.all(path, (c) => {
      c.get('seen').allow = allow
      throw new TunnelFault('method-not-allowed')
    })
  }
  app.all('*', () => {
    throw new TunnelFault('not-found')
  })

  app.onError((error, c) => {
    const { requestId, allow } = c.get('seen')
    return refuse(toFault(error), requestId, allow === undefined ? {} : { allow })
  })
  return app
}
