/** Chooses the connection that ends when a new one needs its place: one without a request, of the address that has most of them. */
import type { InboundConnection } from './inbound-context.ts'

type Candidate = Pick<InboundConnection, 'addressKey' | 'idleSince'>

interface Crowd<C> {
  idle: number
  oldest: C
  oldestSince: number
}

/** The one that has been idle the longest. `key`: of this address alone. Undefined if none is idle. */
export function idlestOfLargestCrowd<C extends Candidate>(connections: Iterable<C>, key?: string): C | undefined {
  const crowds = new Map<string, Crowd<C>>()
  let largest: Crowd<C> | undefined
  for (const connection of connections) {
    const { addressKey, idleSince } = connection
    if (idleSince === undefined || (key !== undefined && addressKey !== key)) continue
    let crowd = crowds.get(addressKey)
    if (crowd === undefined) {
      crowd = { idle: 0, oldest: connection, oldestSince: idleSince }
      crowds.set(addressKey, crowd)
    } else if (idleSince < crowd.oldestSince) {
      crowd.oldest = connection
      crowd.oldestSince = idleSince
    }
    crowd.idle += 1
    if (crowd.idle > (largest?.idle ?? 0)) largest = crowd
  }
  return largest?.oldest
}
