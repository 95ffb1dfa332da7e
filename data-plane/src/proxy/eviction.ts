/** Chooses whose stream of a tunnel goes to somebody else when the tunnel has none left. */
import { IDLE_UPGRADE_MS, SLOW_VISITOR_MS } from '@postern/protocol/limits'
import type { Route } from '../route/route.ts'

/** A request that may have a stream of a tunnel. Times are in milliseconds. */
export interface Evictable {
  readonly addressKey: string
  uses(route: Route): boolean
  /** For how long it has had its stream. */
  readonly streamAge: number
  /** For how long its visitor has kept the stream waiting; 0 if it does not. */
  readonly slowFor: number
  /** For how long nothing has passed after an upgrade; 0 without one. */
  readonly idleFor: number
  /** Gives the stream up, and the connection with it where another request could take the stream back. */
  evict(): void
  /** The node stops: ends now, whole or visibly not. */
  terminate(): void
}

/** What one address has of the tunnel's streams. */
interface Crowd<U> {
  streams: number
  oldest: U
  idlest: U
}

/**
 * In this order: the request whose visitor has kept its stream waiting the longest; the upgrade that has moved nothing for the longest, for IDLE_UPGRADE_MS
 * at least; of an address that has more than half of the streams the one that has had its stream the longest; of the address that has the most, if the
 * newcomer's has less than half as many, the idlest upgrade. The last two spare the newcomer's own address, and all but the second whatever is younger than SLOW_VISITOR_MS.
 * Looks at every request, which only a tunnel without a stream left makes necessary.
 */
export function chooseEvicted<U extends Evictable>(
  users: Iterable<U>,
  route: Route,
  newcomerKey: string,
): U | undefined {
  let slowest: U | undefined
  let idlest: U | undefined
  let streams = 0
  const crowds = new Map<string, Crowd<U>>()
  for (const user of users) {
    if (!user.uses(route)) continue
    streams += 1
    if (user.slowFor >= (slowest?.slowFor ?? SLOW_VISITOR_MS)) slowest = user
    if (user.idleFor >= (idlest?.idleFor ?? IDLE_UPGRADE_MS)) idlest = user
    const crowd = crowds.get(user.addressKey)
    if (crowd === undefined) crowds.set(user.addressKey, { streams: 1, oldest: user, idlest: user })
    else {
      crowd.streams += 1
      if (user.streamAge > crowd.oldest.streamAge) crowd.oldest = user
      if (user.idleFor > crowd.idlest.idleFor) crowd.idlest = user
    }
  }
  return slowest ?? idlest ?? ofCrowd(crowds, streams, newcomerKey)
}

function ofCrowd<U extends Evictable>(
  crowds: ReadonlyMap<string, Crowd<U>>,
  streams: number,
  newcomerKey: string,
): U | undefined {
  let largest: Crowd<U> | undefined
  for (const [key, crowd] of crowds) if (key !== newcomerKey && crowd.streams > (largest?.streams ?? 0)) largest = crowd
  if (largest === undefined) return undefined
  if (largest.streams > streams / 2 && largest.oldest.streamAge >= SLOW_VISITOR_MS) return largest.oldest
  const newcomers = crowds.get(newcomerKey)?.streams ?? 0
  const unfair = newcomers < largest.streams / 2
  return unfair && largest.idlest.idleFor >= SLOW_VISITOR_MS ? largest.idlest : undefined
}
