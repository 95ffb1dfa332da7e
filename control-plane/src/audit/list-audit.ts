/** `GET /v1/audit`: what was done on one day. */
import type { AuditView } from '@postern/protocol/api'
import type { AuditEntry } from '@postern/protocol/store'
import type { HandlerOf } from '../call.ts'
import { listOf, pageOf } from '../page.ts'

const PREFIX = 'audit of '

/** Without a day a cursor's is meant, and today otherwise: pages that are read across midnight go on with their day. */
export const listAudit: HandlerOf<'listAudit'> = ({ query }, { stores, now }) => {
  const day = query.day ?? dayOf(query.cursor) ?? new Date(now()).toISOString().slice(0, 10)
  return pageOf(query, { name: PREFIX + day, read: (call) => stores.audit.list(day, call), view: auditView })
}

function dayOf(cursor: string | undefined): string | undefined {
  const list = cursor === undefined ? undefined : listOf(cursor)
  return list?.startsWith(PREFIX) ? list.slice(PREFIX.length) : undefined
}

const auditView = ({ at, ...entry }: AuditEntry): AuditView => ({ at: new Date(at).toISOString(), ...entry })
