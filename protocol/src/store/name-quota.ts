/** How many names an account has: a map of counted names on the account's item, whose size is checked by the write that adds to it. */
import { TunnelFault } from '../fault.ts'
import { COUNT_SETTLED_MS } from '../limits.ts'
import type { Reservation, User } from './records.ts'
import type { UserStore } from './stores.ts'
import type { Table } from './table.ts'
import { userKey } from './users.ts'

const HAS_ROOM =
  'attribute_exists(#pk) AND #disabled = :false AND (attribute_exists(#subdomains.#counted) OR size(#subdomains) < #maxSubdomains)'
const IS_COUNTED_AT = '#subdomains.#counted = :countedAt'
const IS_COUNTED_BY = '#subdomains.#counted <= :countedAt'

export interface NameQuota {
  /** @throws TunnelFault `subdomain-quota` or `user-disabled`. */
  count(username: string, name: string, now: number): Promise<void>
  /** Takes the name off the count, if it was counted at that very time, or by then: not if it was counted again since. */
  uncount(username: string, name: string, counted: { at: number } | { by: number }): Promise<boolean>
}

export function nameQuota(
  table: Table,
  users: UserStore,
  findReservation: (name: string) => Promise<Reservation | undefined>,
): NameQuota {
  const tryCount = async (username: string, name: string, now: number): Promise<boolean> => {
    const written = await table.update(userKey(username), {
      expression: 'SET #subdomains.#counted = :now',
      condition: { clause: HAS_ROOM, values: { false: false } },
      values: { now },
      paths: { '#counted': name },
    })
    return written.kind === 'done'
  }

  const uncount: NameQuota['uncount'] = async (username, name, counted) => {
    const written = await table.update(userKey(username), {
      expression: 'REMOVE #subdomains.#counted',
      condition:
        'at' in counted
          ? { clause: IS_COUNTED_AT, values: { countedAt: counted.at } }
          : { clause: IS_COUNTED_BY, values: { countedAt: counted.by } },
      values: {},
      paths: { '#counted': name },
    })
    return written.kind === 'done'
  }

  /**
   * Takes names off the count that the account has no more: purged, gone to somebody else, given back, or never reserved
   * because of a crash. A name that was counted a moment ago is left: its reservation may still be on its way.
   */
  const sweep = async (user: User, now: number): Promise<boolean> => {
    const settled = Object.entries(user.subdomains).filter(([, countedAt]) => countedAt < now - COUNT_SETTLED_MS)
    const swept = await Promise.all(
      settled.map(async ([name, countedAt]) => {
        const reservation = await findReservation(name)
        return !belongsTo(reservation, user, now) && uncount(user.username, name, { at: countedAt })
      }),
    )
    return swept.includes(true)
  }

  return {
    uncount,

    async count(username, name, now) {
      if (await tryCount(username, name, now)) return
      const user = await users.find(username)
      if (user === undefined || user.disabled) throw new TunnelFault('user-disabled')
      if ((await sweep(user, now)) && (await tryCount(username, name, now))) return
      throw new TunnelFault('subdomain-quota', `The account may hold ${user.maxSubdomains}.`)
    },
  }
}

function belongsTo(reservation: Reservation | undefined, user: User, now: number): boolean {
  if (reservation?.username !== user.username || reservation.releasedAt !== undefined) return false
  return reservation.heldUntil === undefined || reservation.heldUntil >= now
}
