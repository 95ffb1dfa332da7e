/** Chooses whose stream of a tunnel goes to another visitor when the tunnel has none left. */
import { TunnelFault } from '@postern/protocol/fault'
import { IDLE_EXCHANGE_MS, SLOW_VISITOR_MS } from '@postern/protocol/limits'

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
 * IDLE_EXCHANGE_MS at least. For a newcomer that has waited for SLOW_VISITOR_MS, so that the queue alone does not help: of another address that has more than
 * half of the streams the request that has had its stream the longest; of the address that has the most, if the newcomer's has less than half as many, the
 * one by whose stream nothing has passed for the longest. All but the second spare what is younger than SLOW_VISITOR_MS.
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
  if (largest === undefined) return undefined
  if (largest.streams > streams / 2 && largest.oldest.streamAge >= SLOW_VISITOR_MS) return largest.oldest
  const newcomers = crowds.get(newcomerKey)?.streams ?? 0
  const unfair = newcomers < largest.streams / 2
  return unfair && largest.idlest.idleFor >= SLOW_VISITOR_MS ? largest.idlest : undefined
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
