/** Who did what, one list for each day. */
import { AUDIT_PURGE_AFTER_MS } from '../limits.ts'
import { readPage } from './pages.ts'
import { auditSchema } from './records.ts'
import type { AuditStore } from './stores.ts'
import { purgeAt, readAs, type Table, timeKey } from './table.ts'

/** `day` is yyyy-mm-dd, in UTC. */
const partition = (day: string): string => `AUDIT#${day}`
const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 'yyyy-mm-dd'.length)

export function auditStore(table: Table): AuditStore {
  return {
    async add({ now, newId, ...entry }) {
      const key = { pk: partition(dayOf(now)), sk: timeKey(now, newId()) }
      await table.put({ ...key, ...entry, at: now, purgeAt: purgeAt(now + AUDIT_PURGE_AFTER_MS) })
    },

    async list(day, call) {
      return readPage(await table.page(partition(day), call), (row) => readAs(auditSchema, row))
    },
  }
}
