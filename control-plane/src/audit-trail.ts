/** What a call that changes something leaves in the audit. Knows nothing of what was changed. */
import type { OperationId } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import type { AuditEntry, NewId } from '@postern/protocol/store'
import type { Caller } from './authenticate.ts'
import { errorLine, type Log, masked } from './log.ts'
import type { ControlDeps } from './settings.ts'

/** Refusals that say what somebody tried; a call that could not be read or carried out is in the log alone. */
const TELLING: ReadonlySet<number> = new Set([403, 404, 409])

/** What becomes of a call in the audit: `done`, the code of a telling refusal, or undefined. */
export function auditResult(error: unknown): string | undefined {
  if (error === undefined) return 'done'
  return error instanceof TunnelFault && TELLING.has(error.status) ? error.code : undefined
}

interface Trail {
  readonly action: OperationId
  /** As it was sent: it is masked here. */
  readonly target: string
  readonly caller: Caller
  readonly ip: string
  readonly result: string
  readonly requestId: string
}

/** Leaves one row. What was done stays done if that fails: then the log has the row. */
export async function leaveTrail(
  { caller: { token }, target, requestId, ...trail }: Trail,
  { stores, now, log, newId }: Pick<ControlDeps, 'stores' | 'now'> & { log: Log; newId: NewId },
): Promise<void> {
  const entry = { ...trail, actor: token.username, tokenId: token.tokenId, target: masked(target) }
  const time = now()
  await stores.audit.add({ ...entry, now: time, newId }).catch((error: unknown) => {
    const fields: Omit<AuditEntry, 'at'> = entry
    log({ level: 'error', message: 'not in the audit', requestId, ...fields, error: errorLine(error) })
  })
}
