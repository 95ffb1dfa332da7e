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

export interface NameQuota {
  /** @throws TunnelFault `subdomain-quota` or `user-disabled`. */
  count(username: string, name: string, now: number): Promise<void>
  /** Takes the name off the count, if it was counted at that very time: not if it was counted again since. */
  uncount(username: string, name: string, at: number): Promise<boolean>
  /** Notes that a name counted at `from` is that of a reservation made at `to`, so that its release takes it off the count. */
  recount(username: string, name: string, times: { from: number; to: number }): Promise<void>
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

  const uncount: NameQuota['uncount'] = async (username, name, at) => {
    const written = await table.update(userKey(username), {
      expression: 'REMOVE #subdomains.#counted',
      condition: { clause: IS_COUNTED_AT, values: { countedAt: at } },
      values: {},
      paths: { '#counted': name },
    })
    return written.kind === 'done'
  }

  const recount: NameQuota['recount'] = async (username, name, { from, to }) => {
    await table.update(userKey(username), {
      expression: 'SET #subdomains.#counted = :to',
      condition: { clause: IS_COUNTED_AT, values: { countedAt: from } },
      values: { to },
      paths: { '#counted': name },
    })
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
        return !belongsTo(reservation, user, now) && uncount(user.username, name, countedAt)
      }),
    )
    return swept.includes(true)
  }

  return {
    uncount,
    recount,

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
