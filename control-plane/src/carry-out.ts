/** One call from its request to its answer, as the table of operations says: who asks, what for, done, noted. */
import { describeIssues, OPERATIONS, type Operation, type OperationId } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import type { NewId } from '@postern/protocol/store'
import type { Context } from 'hono'
import { auditResult, leaveTrail } from './audit-trail.ts'
import { authenticate, type Caller, requireScope } from './authenticate.ts'
import type { Call, HandlerDeps } from './call.ts'
import type { FailedAuthLimit } from './failed-auth.ts'
import { HANDLERS } from './handlers.ts'
import type { Log } from './log.ts'
import { readBody } from './read-body.ts'
import { readParams } from './read-params.ts'
import { readQuery } from './read-query.ts'
import { answer } from './respond.ts'
import type { ControlDeps } from './settings.ts'

/** What is known of a request while it is answered; the log tells it afterwards. */
export interface Seen {
  readonly requestId: string
  operation?: OperationId
  username?: string
  /** The methods of this path, where another one was asked for (RFC 9110 §15.5.6). */
  allow?: string
}

export type CarryOutDeps = ControlDeps & { log: Log; newId: NewId; limitFailures: FailedAuthLimit }

/** `Handlers` has for each operation the handler of its own kind of call; which kind it is depends on the id alone. */
type AnyHandler = (call: AnyCall, deps: HandlerDeps) => Promise<object | undefined>
type AnyCall = Pick<Call, 'sourceIp' | 'askedAt' | 'target'> &
  Partial<Caller> & { params: Record<string, string>; query?: unknown; body?: unknown }

/** @throws TunnelFault whatever the call is refused with */
export async function carryOut(c: Context, id: OperationId, seen: Seen, deps: CarryOutDeps): Promise<Response> {
  const operation: Operation = OPERATIONS[id]
  seen.operation = id
  const sourceIp = deps.sourceIp(c)
  if (sourceIp === undefined) throw new TunnelFault('internal-error', 'The address of the caller is not known.')
  const askedAt = deps.now()
  const caller = operation.who === 'anyone' ? undefined : await admit(c, sourceIp, seen, deps)
  const call: AnyCall = { ...caller, params: {}, sourceIp, askedAt, target: undefined }
  const note = async (result: string | undefined) => {
    if (caller === undefined || result === undefined || !operation.audited) return
    const target = call.target ?? Object.values(call.params)[0] ?? ''
    await leaveTrail({ action: id, target, caller, ip: sourceIp, result, requestId: seen.requestId }, deps)
  }
  let said: object | undefined
  try {
    call.params = readParams(c, operation)
    if (caller !== undefined) requireScope(caller.token, operation.who)
    call.query = readQuery(c, operation.query)
    if (operation.body !== undefined) call.body = await readBody(c, operation.body)
    said = await (HANDLERS[id] as AnyHandler)(call, deps)
  } catch (error) {
    await note(auditResult(error))
    throw error
  }
  await note('done')
  return answer(operation.status, judged(said, operation), seen.requestId)
}

/** The caller, or the fault that they are told of after too many others. */
async function admit(c: Context, sourceIp: string, seen: Seen, deps: CarryOutDeps): Promise<Caller> {
  try {
    const caller = await authenticate(c, { ...deps, requestId: seen.requestId })
    seen.username = caller.token.username
    return caller
  } catch (error) {
    if (!(error instanceof TunnelFault) || error.status !== 401) throw error
    throw await deps.limitFailures(error, sourceIp, seen.requestId)
  }
}

/** What a handler says as the document promises it: a field that the schema does not have never leaves. */
function judged(said: object | undefined, { answer: schema }: Operation): object | undefined {
  if (schema === undefined) return undefined
  const promised = schema.safeParse(said)
  if (!promised.success) {
    throw new TunnelFault('internal-error', `The answer is not as promised: ${describeIssues(promised.error.issues)}`)
  }
  return promised.data as object
}
