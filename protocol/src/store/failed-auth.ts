/** How many tokens that are not good came from an address within a minute, counted for all instances of the control plane. */
import * as z from 'zod/mini'
import { FAILED_AUTH_PURGE_AFTER_MS } from '../limits.ts'
import type { FailedAuthStore } from './stores.ts'
import { type Key, purgeAt, readAs, type Table } from './table.ts'

const MINUTE_MS = 60_000
const key = (address: string, minute: number): Key => ({ pk: `RL#${address}#${minute}`, sk: 'RL' })

const ONE_MORE = 'SET #n = if_not_exists(#n, :none) + :one, #purgeAt = :purgeAt'
const counterSchema = z.object({ n: z.number() })

export function failedAuthStore(table: Table): FailedAuthStore {
  return {
    /** A call that is repeated because its answer was lost may count twice, never not at all. */
    async count({ address, now }) {
      const values = { none: 0, one: 1, purgeAt: purgeAt(now + FAILED_AUTH_PURGE_AFTER_MS) }
      const counter = key(address, Math.floor(now / MINUTE_MS))
      const written = await table.update(counter, { expression: ONE_MORE, values })
      // Without a condition nothing is refused; what was there before is one less.
      const before = written.kind === 'done' && written.before ? readAs(counterSchema, written.before).n : 0
      return before + 1
    },
  }
}
