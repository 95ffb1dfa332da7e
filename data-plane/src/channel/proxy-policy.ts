/** From whom a PROXY header is taken. */
import type { NetworkList } from '@postern/protocol/address'
import type { ProxyPolicy } from '@postern/protocol/channel'

/**
 * The policy for a connection from `peer`. Where there are trusted proxies, nobody else's header counts: what looks like one is no request, and no opening.
 * @param peer undefined: it has left already
 */
export function proxyPolicyFor(
  peer: string | undefined,
  policy: ProxyPolicy,
  proxies: NetworkList | undefined,
): ProxyPolicy {
  if (proxies === undefined) return policy
  return peer !== undefined && proxies.holds(peer) === true ? policy : 'off'
}
