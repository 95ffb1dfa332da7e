/** The list of all names. Only says which names to look at: whose one is, and whether it is anybody's, the reservation says. */
import * as z from 'zod/mini'
import { readPage } from './pages.ts'
import type { Reservation } from './records.ts'
import type { Page, PageCall } from './stores.ts'
import { type Condition, type Key, purgeAt, readAs, type Table } from './table.ts'

const PARTITION = 'SUBS'
const key = (name: string): Key => ({ pk: PARTITION, sk: name })

/** Writes of two calls may come in either order: a row of a later reservation stays, and so does one that shall not be purged. */
const IS_EARLIER = 'attribute_not_exists(#pk) OR #reservationId < :reservationId'
const IS_NOT_LATER = 'attribute_not_exists(#pk) OR #reservationId <= :reservationId'
const IS_SAME_AND_PURGED = '(#reservationId = :reservationId AND attribute_exists(#purgeAt))'
const IS_SAME = '#reservationId = :reservationId'

const rowSchema = z.object({ sk: z.string() })

export interface SubdomainList {
  put(reservation: Reservation): Promise<void>
  /** The row goes when the hold ends, unless the name was reserved anew. */
  forget(reservation: Reservation, heldUntil: number): Promise<void>
  page(call: PageCall): Promise<Page<{ name: string }>>
}

export function subdomainList(table: Table): SubdomainList {
  return {
    async put({ name, reservationId, username, heldUntil }) {
      const lasting = heldUntil === undefined
      const condition: Condition = {
        clause: lasting ? IS_NOT_LATER : `${IS_EARLIER} OR ${IS_SAME_AND_PURGED}`,
        values: { reservationId },
      }
      const row = { ...key(name), reservationId, username, ...(!lasting && { purgeAt: purgeAt(heldUntil) }) }
      await table.put(row, condition)
    },

    async forget({ name, reservationId }, heldUntil) {
      await table.update(key(name), {
        expression: 'SET #purgeAt = :purgeAt',
        condition: { clause: IS_SAME, values: { reservationId } },
        values: { purgeAt: purgeAt(heldUntil) },
      })
    },

    async page(call) {
      return readPage(await table.page(PARTITION, call), (row) => ({ name: readAs(rowSchema, row).sk }))
    },
  }
}
