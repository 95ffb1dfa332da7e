/** Accounts in the table. What counts against their quota is changed by the reservations alone. */
import * as z from 'zod/mini'
import type { Attributes } from './attributes.ts'
import { readPage } from './pages.ts'
import { type User, userSchema } from './records.ts'
import type { UserChanges, UserStore } from './stores.ts'
import { type Key, readAs, type Table } from './table.ts'

const ALL = 'USERS'
export const userKey = (username: string): Key => ({ pk: `USER#${username}`, sk: 'USER' })
const listKey = (username: string): Key => ({ pk: ALL, sk: username })

const IS_NEW = 'attribute_not_exists(#pk)'
const EXISTS = 'attribute_exists(#pk)'
const IS_OF_THAT_TIME = '#createdAt = :createdAt'

const rowSchema = z.object({ sk: z.string() })

export function userStore(table: Table): UserStore {
  const find = async (username: string): Promise<User | undefined> => {
    const item = await table.get(userKey(username))
    return item && readAs(userSchema, item)
  }

  return {
    find,

    /**
     * A crash between the two leaves a name in the list of users without a user, which `list` passes over; a repetition
     * completes it. The row is written anew whatever is there, so that a removal that is under way leaves it.
     */
    async create(user) {
      if (await find(user.username)) return false
      await table.put({ ...listKey(user.username), createdAt: user.createdAt })
      const item = { ...userKey(user.username), ...user, subdomains: {}, disabled: false }
      return (await table.put(item, { clause: IS_NEW })).kind === 'done'
    },

    async list(call) {
      return readPage(await table.page(ALL, call), (row) => find(readAs(rowSchema, row).sk))
    },

    async update(username, changes) {
      const update = expressionOf(changes)
      if (update === undefined) return find(username)
      const written = await table.update(userKey(username), { ...update, condition: { clause: EXISTS } })
      if (written.kind === 'refused') return undefined
      return changed(readAs(userSchema, written.before ?? {}), changes)
    },

    /** A crash between the two leaves a row in the list, which `list` passes over and the next user of that name takes. */
    async remove(username) {
      const removed = await table.remove(userKey(username), { clause: EXISTS })
      if (removed.kind === 'refused') return false
      const { createdAt } = readAs(userSchema, removed.before ?? {})
      await table.remove(listKey(username), { clause: IS_OF_THAT_TIME, values: { createdAt } })
      return true
    },
  }
}

const isEmptySet = (value: unknown): boolean => value instanceof Set && value.size === 0

/** The changes that are given, and none that is undefined. A set that becomes empty is removed: DynamoDB has no empty sets. */
function expressionOf(changes: UserChanges): { expression: string; values: Attributes } | undefined {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined)
  if (given.length === 0) return undefined
  const kept = given.filter(([, value]) => !isEmptySet(value))
  const emptied = given.filter(([, value]) => isEmptySet(value))
  const parts = [
    ...(kept.length > 0 ? [`SET ${kept.map(([name]) => `#${name} = :${name}`).join(', ')}`] : []),
    ...(emptied.length > 0 ? [`REMOVE ${emptied.map(([name]) => `#${name}`).join(', ')}`] : []),
  ]
  return { expression: parts.join(' '), values: Object.fromEntries(kept) }
}

function changed(user: User, changes: UserChanges): User {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined)
  const { patterns, ...rest } = { ...user, ...Object.fromEntries(given) }
  return { ...rest, ...(patterns && !isEmptySet(patterns) && { patterns }) }
}
