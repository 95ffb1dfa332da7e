/** A reserved name as the API shows it. */
import type { SubdomainView } from '@postern/protocol/api'
import type { Reservation } from '@postern/protocol/store'

/** Undefined for a name whose hold is over: it is nobody's, and only waits for its deletion. */
export function subdomainView(reservation: Reservation, now: number): SubdomainView | undefined {
  const { name, username, ephemeral, createdAt, heldUntil, releasedAt } = reservation
  if (heldUntil !== undefined && heldUntil < now) return undefined
  return {
    ...{ name, username, ephemeral },
    createdAt: new Date(createdAt).toISOString(),
    ...(heldUntil !== undefined && { heldUntil: new Date(heldUntil).toISOString() }),
    released: releasedAt !== undefined,
  }
}
