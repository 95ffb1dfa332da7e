/** Chooses whose stream of a tunnel goes to another visitor when the tunnel has none left. */
import { TunnelFault } from '@postern/protocol/fault'
import { CROWD_SHARE, IDLE_EXCHANGE_MS, SLOW_VISITOR_MS } from '@postern/protocol/limits'

/** A request that has a stream of a tunnel, or a connection that has one for itself. Times are in milliseconds. */
export interface Evictable {
  readonly addressKey: string
  /** For how long it has had its stream. */
  readonly streamAge: number
  /** For how long its visitor has kept the stream waiting; 0 if it does not. */
  readonly slowFor: number
  /** For how long nothing has passed by its stream. */
  readonly idleFor: number
  /** Gives the stream up, and the connection with it where another request could take the stream back. */
  evict(why: TunnelFault): void
  /** The node stops: ends now, whole or visibly not. */
  terminate(): void
}

/** A request that needs a stream. */
export interface Newcomer {
  readonly addressKey: string
  /** For how long it has waited. */
  readonly waitedMs: number
}

/** What one address has of the tunnel's streams. */
interface Crowd<U> {
  streams: number
  oldest: U
  idlest: U
}

/**
 * In this order: the request whose visitor has kept its stream waiting the longest; the one by whose stream nothing has passed for the longest, for
 * IDLE_EXCHANGE_MS at least. For a newcomer that has waited for SLOW_VISITOR_MS, so that the queue alone does not help, and whose address has less than half as
 * many streams as the one that has the most: of that address the one by whose stream nothing has passed for the longest; if it has more than CROWD_SHARE of
 * all streams, also the one that has had its stream the longest. All spare what is younger than SLOW_VISITOR_MS.
 */
export function chooseEvicted<U extends Evictable>(users: Iterable<U>, newcomer: Newcomer): U | undefined {
  let slowest: U | undefined
  let idlest: U | undefined
  let streams = 0
  const crowds = new Map<string, Crowd<U>>()
  for (const user of users) {
    streams += 1
    if (user.slowFor >= (slowest?.slowFor ?? SLOW_VISITOR_MS)) slowest = user
    if (user.idleFor >= (idlest?.idleFor ?? IDLE_EXCHANGE_MS)) idlest = user
    const crowd = crowds.get(user.addressKey)
    if (crowd === undefined) crowds.set(user.addressKey, { streams: 1, oldest: user, idlest: user })
    else {
      crowd.streams += 1
      if (user.streamAge > crowd.oldest.streamAge) crowd.oldest = user
      if (user.idleFor > crowd.idlest.idleFor) crowd.idlest = user
    }
  }
  if (slowest !== undefined || idlest !== undefined) return slowest ?? idlest
  return newcomer.waitedMs < SLOW_VISITOR_MS ? undefined : ofCrowd(crowds, streams, newcomer.addressKey)
}

function ofCrowd<U extends Evictable>(
  crowds: ReadonlyMap<string, Crowd<U>>,
  streams: number,
  newcomerKey: string,
): U | undefined {
  let largest: Crowd<U> | undefined
  for (const [key, crowd] of crowds) if (key !== newcomerKey && crowd.streams > (largest?.streams ?? 0)) largest = crowd
  const newcomers = crowds.get(newcomerKey)?.streams ?? 0
  if (largest === undefined || newcomers >= largest.streams / 2) return undefined
  if (largest.idlest.idleFor >= SLOW_VISITOR_MS) return largest.idlest
  return largest.streams > streams * CROWD_SHARE && largest.oldest.streamAge >= SLOW_VISITOR_MS
    ? largest.oldest
    : undefined
}

/** Ends one of them for the newcomer. False if none is to be ended. */
export function evictFor(users: Iterable<Evictable>, newcomer: Newcomer): boolean {
  const evicted = chooseEvicted(users, newcomer)
  if (evicted === undefined) return false
  const slow = evicted.slowFor >= SLOW_VISITOR_MS
  evicted.evict(
    slow
      ? new TunnelFault('body-timeout', 'The visitor kept its stream waiting while others needed it.')
      : new TunnelFault('streams-exhausted', 'The stream went to another visitor.'),
  )
  return true
}
