/** Tokens in the table, known by their hash alone. */
import * as z from 'zod/mini'
import { TunnelFault } from '../fault.ts'
import { TOKEN_PURGE_AFTER_MS } from '../limits.ts'
import { readPage } from './pages.ts'
import { type Token, tokenSchema } from './records.ts'
import type { RevocationStore, TokenStore } from './stores.ts'
import { type Condition, type Key, type Plain, purgeAt, readAs, type Table } from './table.ts'

const ALL = 'TOKENS'
const OF_A_USER = 'TOKEN#'
const key = (tokenHash: string): Key => ({ pk: `TOKEN#${tokenHash}`, sk: 'TOKEN' })
const listKey = (tokenId: string): Key => ({ pk: ALL, sk: tokenId })
const userListKey = (username: string, tokenId: string): Key => ({ pk: `USER#${username}`, sk: OF_A_USER + tokenId })

const IS_NEW = 'attribute_not_exists(#pk)'
const EXISTS = 'attribute_exists(#pk)'
const IS_THEIRS = '#username = :owner'
const IS_ACTIVE = '#tokenStatus = :active'
const ENDS_LATER = '#expiresAt > :at'

const rowSchema = z.object({ tokenHash: z.string() })
const purge = (expiresAt: number): number => purgeAt(expiresAt + TOKEN_PURGE_AFTER_MS)

export function tokenStore(table: Table, revocations: RevocationStore): TokenStore {
  const find = async (tokenHash: string): Promise<Token | undefined> => {
    const item = await table.get(key(tokenHash))
    return item && readAs(tokenSchema, item)
  }
  const findByRow = (row: Plain) => find(readAs(rowSchema, row).tokenHash)

  return {
    find,

    /** The item that lets somebody in comes last: a crash before it leaves rows in the lists, which pass over them. */
    async create(token) {
      const { tokenHash, tokenId, username, expiresAt } = token
      const row = { tokenHash, purgeAt: purge(expiresAt) }
      await table.put({ ...listKey(tokenId), ...row })
      await table.put({ ...userListKey(username, tokenId), ...row })
      const item = { ...key(tokenHash), ...token, tokenStatus: 'active', purgeAt: purge(expiresAt) }
      const written = await table.put(item, { clause: IS_NEW })
      if (written.kind === 'refused') throw new TunnelFault('internal-error', 'There is such a token already.')
    },

    async touch({ tokenHash, day }) {
      const update = { expression: 'SET #lastUsedDay = :day', condition: { clause: EXISTS }, values: { day } }
      await table.update(key(tokenHash), update)
    },

    async findById(tokenId) {
      const row = await table.get(listKey(tokenId))
      return row && findByRow(row)
    },

    async list(call) {
      return readPage(await table.page(ALL, call), findByRow)
    },

    async listOf(username, call) {
      return readPage(await table.page(`USER#${username}`, { ...call, prefix: OF_A_USER }), findByRow)
    },

    /**
     * A crash between the two leaves a token that opens no new channel, while channels that are open stay until the
     * next re-reading of their tokens; a repetition cuts them at once.
     */
    async revoke({ tokenHash, owner, now, newId }) {
      const update = {
        expression: 'SET #tokenStatus = :revoked',
        condition: ownedBy(owner, { clause: EXISTS }),
        values: { revoked: 'revoked' },
      }
      const written = await table.update(key(tokenHash), update)
      if (written.kind === 'refused') return false
      await revocations.add({ what: 'token', key: tokenHash, notBefore: now, now, newId })
      return true
    },

    /** The rows of the lists keep their later purge: they outlive the token for a while and are passed over. */
    async expire({ tokenHash, owner, at }) {
      const written = await table.update(key(tokenHash), {
        expression: 'SET #expiresAt = :at, #purgeAt = :purgeAt',
        condition: ownedBy(owner, { clause: `${IS_ACTIVE} AND ${ENDS_LATER}`, values: { active: 'active' } }),
        values: { at, purgeAt: purge(at) },
      })
      if (written.kind === 'done') return true
      const token = await find(tokenHash)
      return token?.tokenStatus === 'active' && (owner === undefined || token.username === owner)
    },
  }
}

const ownedBy = (owner: string | undefined, { clause, values }: Condition): Condition =>
  owner === undefined
    ? { clause, ...(values && { values }) }
    : { clause: `${clause} AND ${IS_THEIRS}`, values: { ...values, owner } }
