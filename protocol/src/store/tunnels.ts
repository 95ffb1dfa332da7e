/** The list of all tunnels that are on line, for people to read. The routes are the truth; this only says where to look. */
import { TUNNEL_PURGE_AFTER_MS } from '../limits.ts'
import { readPage } from './pages.ts'
import { tunnelSchema } from './records.ts'
import type { TunnelStore } from './stores.ts'
import { type Key, purgeAt, readable, type Table } from './table.ts'

const PARTITION = 'TUNNELS'
const key = (name: string, slot: number): Key => ({ pk: PARTITION, sk: `${name}#${slot}` })

const IS_THIS_CHANNELS = '#connId = :connId'
/** A row that comes late must not take the place of its successor's. */
const IS_NOT_A_LATER_CLAIMS = 'attribute_not_exists(#pk) OR #epoch <= :epoch'

export function tunnelStore(table: Table): TunnelStore {
  return {
    async put(row) {
      await table.put(
        { ...key(row.name, row.slot), ...row, purgeAt: purgeAt(row.claimedAt + TUNNEL_PURGE_AFTER_MS) },
        { clause: IS_NOT_A_LATER_CLAIMS, values: { epoch: row.epoch } },
      )
    },

    async remove({ name, slot, connId }) {
      await table.remove(key(name, slot), { clause: IS_THIS_CHANNELS, values: { connId } })
    },

    async list(call) {
      return readPage(await table.page(PARTITION, call), (row) => readable(tunnelSchema, [row])[0])
    },
  }
}
