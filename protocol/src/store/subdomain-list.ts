/** The list of all names. Only says which names to look at: whose one is, and whether it is anybody's, the reservation says. */
import * as z from 'zod/mini'
import { readPage } from './pages.ts'
import type { Reservation } from './records.ts'
import type { Page, PageCall } from './stores.ts'
import { type Key, purgeAt, readAs, type Table } from './table.ts'

const PARTITION = 'SUBS'
const key = (name: string): Key => ({ pk: PARTITION, sk: name })

/**
 * Two calls may write in either order, and a row must not go before its name does: one that shall stay is written whatever
 * is there, and one that goes with its hold neither over that of a later reservation nor over one that shall stay.
 */
const MAY_GO =
  'attribute_not_exists(#pk) OR #reservationId < :reservationId OR (#reservationId = :reservationId AND attribute_exists(#purgeAt))'
/** Several calls for one new name write its row, and only one of them gets the name: so not by the id. */
const IS_MADE_BY_THEN = '#createdAt <= :releasedAt'

const rowSchema = z.object({ sk: z.string() })

export interface SubdomainList {
  put(reservation: Reservation): Promise<void>
  /** For a name that was given back at `releasedAt`: its row goes when the hold ends, unless it was reserved anew since. */
  forget(call: { name: string; releasedAt: number; heldUntil: number }): Promise<void>
  page(call: PageCall): Promise<Page<{ name: string }>>
}

export function subdomainList(table: Table): SubdomainList {
  return {
    async put({ name, reservationId, username, createdAt, heldUntil }) {
      const row = { ...key(name), reservationId, username, createdAt }
      if (heldUntil === undefined) await table.put(row)
      else await table.put({ ...row, purgeAt: purgeAt(heldUntil) }, { clause: MAY_GO, values: { reservationId } })
    },

    async forget({ name, releasedAt, heldUntil }) {
      await table.update(key(name), {
        expression: 'SET #purgeAt = :purgeAt',
        condition: { clause: IS_MADE_BY_THEN },
        values: { purgeAt: purgeAt(heldUntil), releasedAt },
      })
    },

    async page(call) {
      return readPage(await table.page(PARTITION, call), (row) => ({ name: readAs(rowSchema, row).sk }))
    },
  }
}
