/** `DELETE /v1/subdomains/{name}`: given back, and whatever tunnel uses it is cut. */
import { TunnelFault } from '@postern/protocol/fault'
import type { HandlerOf } from '../call.ts'
import { nameInPath } from '../in-path.ts'
import { mayHandle, ownerFor } from '../owner.ts'
import { cutName } from '../tunnels/cut-name.ts'

/**
 * A crash before the cut leaves a tunnel on a name that was given back. A repetition is told that there is no such name,
 * and cuts the tunnel all the same.
 */
export const releaseSubdomain: HandlerOf<'releaseSubdomain'> = async ({ token, params }, deps) => {
  const { stores, now } = deps
  const name = nameInPath(params.name)
  const released = await stores.reservations.release({ name, owner: ownerFor(token), now: now() })
  const notBefore = now()
  if (!released) {
    const left = await stores.reservations.find(name)
    const isHeld = left?.releasedAt !== undefined && (left.heldUntil ?? 0) >= notBefore
    if (!isHeld || !mayHandle(token, left.username)) throw noSuchName()
  }
  await cutName(name, notBefore, deps)
  if (!released) throw noSuchName()
}

const noSuchName = (): TunnelFault => new TunnelFault('not-found', 'There is no such name.')
