/** The list of revocations, which every task reads from where it last was. */
import { REVOCATION_PURGE_AFTER_MS } from '../limits.ts'
import { revocationSchema } from './records.ts'
import type { RevocationStore } from './stores.ts'
import { purgeAt, type Table, timeKey } from './table.ts'

const PARTITION = 'REVOKE'

export function revocationStore(table: Table): RevocationStore {
  return {
    async add({ now, newId, ...revocation }) {
      const cursor = timeKey(now, newId())
      const item = {
        pk: PARTITION,
        sk: cursor,
        ...revocation,
        cursor,
        purgeAt: purgeAt(now + REVOCATION_PURGE_AFTER_MS),
      }
      await table.put(item)
    },

    async since(cursor, unreadable) {
      const items = await table.list(PARTITION, { after: cursor, consistent: true })
      return items.flatMap((item) => {
        const read = revocationSchema.safeParse(item)
        if (!read.success) unreadable?.(String(item.sk))
        return read.success ? [read.data] : []
      })
    },
  }
}
