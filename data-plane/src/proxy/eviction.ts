/** Whose stream of a tunnel goes to somebody else when it has none left. Knows nothing of connections. */
import { SLOW_VISITOR_MS } from '@postern/protocol/limits'
import type { Route } from '../route/route.ts'

/** A visitor, as this judge sees it. */
export interface StreamUser {
  readonly addressKey: string
  uses(route: Route): boolean
  /** For how long it has had its stream; milliseconds. */
  readonly streamAge: number
  /** For how long it has kept its stream waiting; milliseconds, 0 if it does not. */
  readonly slowFor: number
}

interface Crowd<U> {
  streams: number
  oldest: U
}

/**
 * The one who has kept its stream waiting the longest. Where nobody has for SLOW_VISITOR_MS: if one address has more than half of the
 * streams, and it is not the newcomer's, whoever has had one of them the longest, for that time at least. Otherwise undefined.
 * Looks at every visitor, which only a tunnel without a stream left makes necessary.
 */
export function whoGivesWay<U extends StreamUser>(
  visitors: Iterable<U>,
  route: Route,
  newcomerKey: string,
): U | undefined {
  let slowest: U | undefined
  let streams = 0
  const crowds = new Map<string, Crowd<U>>()
  for (const visitor of visitors) {
    if (!visitor.uses(route)) continue
    streams += 1
    if (visitor.slowFor >= (slowest?.slowFor ?? SLOW_VISITOR_MS)) slowest = visitor
    const crowd = crowds.get(visitor.addressKey)
    if (crowd === undefined) crowds.set(visitor.addressKey, { streams: 1, oldest: visitor })
    else {
      crowd.streams += 1
      if (visitor.streamAge > crowd.oldest.streamAge) crowd.oldest = visitor
    }
  }
  if (slowest !== undefined) return slowest
  for (const [key, { streams: theirs, oldest }] of crowds)
    if (key !== newcomerKey && theirs > streams / 2 && oldest.streamAge >= SLOW_VISITOR_MS) return oldest
  return undefined
}
