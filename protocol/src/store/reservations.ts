/** Names and their owners: who has a name, for how long, and that nobody has more than they may. */
import { TunnelFault } from '../fault.ts'
import { EPHEMERAL_HOLD_MS, NAME_COOL_DOWN_MS } from '../limits.ts'
import { nameQuota } from './name-quota.ts'
import { readPage } from './pages.ts'
import { type Reservation, reservationSchema } from './records.ts'
import type { ReservationStore, ReserveCall, UserStore } from './stores.ts'
import { subdomainList } from './subdomain-list.ts'
import { type Key, purgeAt, readAs, type Table } from './table.ts'

const key = (name: string): Key => ({ pk: `SUB#${name}`, sk: 'SUB' })

/**
 * Nobody's, past its hold, or given back by whoever asks now. An owner's living reservation is not replaced by their own
 * second call: its id would change, and the tickets issued for the first would lose against those for the second.
 */
const IS_FREE_FOR =
  'attribute_not_exists(#pk) OR #heldUntil < :now OR (#username = :username AND attribute_exists(#releasedAt))'
const IS_STILL = '#reservationId = :reservationId AND attribute_not_exists(#releasedAt)'
const IS_RANDOM_STILL = `${IS_STILL} AND attribute_exists(#heldUntil)`
const IS_SOMEBODYS = 'attribute_exists(#pk) AND attribute_not_exists(#releasedAt)'
const IS_THEIRS = `#username = :owner AND ${IS_SOMEBODYS}`

/** A name in daily use is written once an hour at most. */
const KEEP_ALIVE_EVERY_MS = 3_600_000

export function reservationStore(table: Table, users: UserStore): ReservationStore {
  const find = async (name: string): Promise<Reservation | undefined> => {
    const item = await table.get(key(name))
    return item && readAs(reservationSchema, item)
  }
  const quota = nameQuota(table, users, find)
  const names = subdomainList(table)

  return {
    find,

    async ownerOf(name, now) {
      const reservation = await find(name)
      const isOwned = reservation !== undefined && reservation.releasedAt === undefined && !isOver(reservation, now)
      return isOwned ? reservation.reservationId : undefined
    },

    /**
     * Count, then list, then reserve. A crash after the count leaves a name counted that nobody has, until the quota is
     * full and the count is swept; a crash before the reservation leaves a row in the list of a name that nobody has, which
     * `list` passes over. Never is a name reserved that was not counted, or a lasting one that is not listed. A random name
     * is listed last, because its row may not be there for good: a crash leaves it out until the next extension.
     */
    async reserve(call) {
      const { name, username, now } = call
      const found = await find(name)
      if (found && isKept(found, call)) return keep(found, call)
      if (found && found.username !== username && !isOver(found, now)) throw taken(name)
      await quota.count(username, name, now)
      const reservation = newReservation(call)
      if (!reservation.ephemeral) await names.put(reservation)
      const written = await table.put(
        { ...key(name), ...reservation, purgeAt: reservation.heldUntil && purgeAt(reservation.heldUntil) },
        { clause: IS_FREE_FOR, values: { now, username } },
      )
      if (written.kind === 'done') {
        if (reservation.ephemeral) await names.put(reservation)
        return reservation
      }
      const winner = await find(name)
      if (winner && isKept(winner, call)) {
        // The same account's other call was first, and has the time of its own count.
        await quota.recount(username, name, { from: now, to: winner.createdAt })
        return keep(winner, call)
      }
      await quota.uncount(username, name, now)
      throw taken(name)
    },

    async list(call) {
      return readPage(await names.page(call), ({ name }) => find(name))
    },

    /** From the count of the account, which every name of theirs is on. What a crash has left on it is not shown. */
    async listOf(username, { after = '', limit }) {
      const user = await users.find(username)
      const rest = Object.keys(user?.subdomains ?? {})
        .filter((name) => name > after)
        .sort()
      const items = rest.slice(0, limit)
      const next = rest.length > limit ? items.at(-1) : undefined
      return readPage({ items, next }, async (name) => {
        const reservation = await find(name)
        return reservation && isOwnedBy(reservation, username) ? reservation : undefined
      })
    },

    /**
     * Give back, then take off the count, then let the list forget it. A crash after the first leaves the name counted until
     * the quota is full and the count is swept; a crash before the last leaves a row in the list of a name that is gone one
     * day, which `list` passes over.
     */
    async release({ name, owner, now }) {
      const heldUntil = now + NAME_COOL_DOWN_MS
      const written = await table.update(key(name), {
        expression: 'SET #heldUntil = :heldUntil, #purgeAt = :purgeAt, #releasedAt = :now',
        condition: owner === undefined ? { clause: IS_SOMEBODYS } : { clause: IS_THEIRS, values: { owner } },
        values: { heldUntil, purgeAt: purgeAt(heldUntil), now },
      })
      if (written.kind === 'refused') return false
      const released = readAs(reservationSchema, written.before ?? {})
      await quota.uncount(released.username, name, released.createdAt)
      await names.forget({ name, releasedAt: now, heldUntil })
      return true
    },
  }

  /**
   * Extends the hold of a random name, or makes a lasting one of it. A crash between the two leaves the row of an extended
   * name to be purged with the old hold, unless the next extension comes first, and that of a name that was to last in the list
   * for longer than the name.
   */
  async function keep(found: Reservation, { ephemeral, now }: ReserveCall): Promise<Reservation> {
    if (found.heldUntil === undefined) return found
    const { heldUntil: _, ...rest } = found
    const kept: Reservation = ephemeral
      ? { ...found, heldUntil: now + EPHEMERAL_HOLD_MS }
      : { ...rest, ephemeral: false }
    if (kept.heldUntil !== undefined && kept.heldUntil - found.heldUntil < KEEP_ALIVE_EVERY_MS) return found
    if (!kept.ephemeral) await names.put(kept)
    const written = await table.update(key(found.name), {
      ...(kept.heldUntil === undefined
        ? { expression: 'SET #ephemeral = :ephemeral REMOVE #heldUntil, #purgeAt', values: { ephemeral: false } }
        : {
            expression: 'SET #heldUntil = :heldUntil, #purgeAt = :purgeAt',
            values: { heldUntil: kept.heldUntil, purgeAt: purgeAt(kept.heldUntil) },
          }),
      condition: {
        // One that was made a lasting name a moment ago must not get an end again.
        clause: kept.heldUntil === undefined ? IS_STILL : IS_RANDOM_STILL,
        values: { reservationId: found.reservationId },
      },
    })
    if (written.kind === 'refused')
      throw new TunnelFault('store-unavailable', 'The name was changed at the same moment.')
    if (kept.ephemeral) await names.put(kept)
    return kept
  }
}

const newReservation = ({ name, username, ephemeral, now, newId }: ReserveCall): Reservation => ({
  name,
  reservationId: newId(),
  username,
  ephemeral,
  ...(ephemeral && { heldUntil: now + EPHEMERAL_HOLD_MS }),
  createdAt: now,
})

const isOwnedBy = (reservation: Reservation, username: string): boolean =>
  reservation.username === username && reservation.releasedAt === undefined

const isOver = (reservation: Reservation, now: number): boolean =>
  reservation.heldUntil !== undefined && reservation.heldUntil < now

/** Whether `username` has the name now, counted against their quota. */
const isKept = (reservation: Reservation, { username, now }: { username: string; now: number }): boolean =>
  isOwnedBy(reservation, username) && !isOver(reservation, now)

const taken = (name: string): TunnelFault => new TunnelFault('subdomain-taken', `"${name}" is in use.`)
