/** Tokens in the table, known by their hash alone. */
import { TunnelFault } from '../fault.ts'
import { tokenSchema } from './records.ts'
import type { RevocationStore, TokenStore } from './stores.ts'
import { type Key, readAs, type Table } from './table.ts'

const key = (tokenHash: string): Key => ({ pk: `TOKEN#${tokenHash}`, sk: 'TOKEN' })

const IS_NEW = 'attribute_not_exists(#pk)'
const EXISTS = 'attribute_exists(#pk)'

export function tokenStore(table: Table, revocations: RevocationStore): TokenStore {
  return {
    async find(tokenHash) {
      const item = await table.get(key(tokenHash))
      return item && readAs(tokenSchema, item)
    },

    /** The item that lets somebody in comes last: a crash before it leaves a token in the lists that opens nothing. */
    async create(token) {
      const { tokenHash, tokenId, username, label, createdAt, expiresAt } = token
      await table.put({ pk: 'TOKENS', sk: tokenId, tokenHash, username, label, createdAt, expiresAt })
      await table.put({ pk: `USER#${username}`, sk: `TOKEN#${tokenId}`, tokenHash })
      const written = await table.put({ ...key(tokenHash), ...token, tokenStatus: 'active' }, { clause: IS_NEW })
      if (written.kind === 'refused') throw new TunnelFault('internal-error', 'There is such a token already.')
    },

    async touch({ tokenHash, day }) {
      const update = { expression: 'SET #lastUsedDay = :day', condition: { clause: EXISTS }, values: { day } }
      await table.update(key(tokenHash), update)
    },

    /**
     * A crash between the two leaves a token that opens no new channel, while channels that are open stay until the
     * next re-reading of their tokens; a repetition cuts them at once.
     */
    async revoke({ tokenHash, now, newId }) {
      const update = {
        expression: 'SET #tokenStatus = :revoked',
        condition: { clause: EXISTS },
        values: { revoked: 'revoked' },
      }
      const written = await table.update(key(tokenHash), update)
      if (written.kind === 'refused') return false
      await revocations.add({ what: 'token', key: tokenHash, notBefore: now, now, newId })
      return true
    },
  }
}
