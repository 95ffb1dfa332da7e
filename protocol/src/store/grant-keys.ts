/** The public keys by which nodes verify the control plane's grants: one item, which a node's policy lets it read and not write. */
import { grantKeysSchema } from './records.ts'
import type { GrantKeyStore } from './stores.ts'
import { type Key, readAs, type Table } from './table.ts'

const KEY: Key = { pk: 'KEYS', sk: 'GRANT' }
/** The end of the time of rows without a proof stays: publishing other keys must not begin it anew. */
const PUBLISH = 'SET #keys = :keys, #unprovenUntil = if_not_exists(#unprovenUntil, :unprovenUntil)'

export function grantKeyStore(table: Table): GrantKeyStore {
  return {
    async read() {
      const item = await table.get(KEY)
      return item && readAs(grantKeysSchema, item)
    },

    async publish({ keys, unprovenUntil }) {
      await table.update(KEY, { expression: PUBLISH, values: { keys, unprovenUntil } })
    },
  }
}
