/** Accounts in the table. What counts against their quota is changed by the reservations alone. */
import { userSchema } from './records.ts'
import type { UserStore } from './stores.ts'
import { type Key, readAs, type Table } from './table.ts'

export const userKey = (username: string): Key => ({ pk: `USER#${username}`, sk: 'USER' })

const IS_NEW = 'attribute_not_exists(#pk)'
const EXISTS = 'attribute_exists(#pk)'

export function userStore(table: Table): UserStore {
  return {
    async find(username) {
      const item = await table.get(userKey(username))
      return item && readAs(userSchema, item)
    },

    /** A crash between the two leaves a name in the list of users without a user; a repetition completes it. */
    async create({ createdAt, ...user }) {
      await table.put({ pk: 'USERS', sk: user.username, createdAt }, { clause: IS_NEW })
      const item = { ...userKey(user.username), ...user, subdomains: {}, disabled: false }
      return (await table.put(item, { clause: IS_NEW })).kind === 'done'
    },

    async setDisabled(username, disabled) {
      const update = { expression: 'SET #disabled = :disabled', condition: { clause: EXISTS }, values: { disabled } }
      return (await table.update(userKey(username), update)).kind === 'done'
    },
  }
}
