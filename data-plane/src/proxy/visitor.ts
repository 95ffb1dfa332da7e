/** Who makes a request, and by which scheme and host it came: as the connection shows it, or as a trusted proxy before the service says it. */
import { isIP } from 'node:net'
import { addressKey, NetworkList } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { FIELD, ForwardedFields, isAuthority, type RequestHead } from '@postern/protocol/http'
import { MOST_FORWARDED_HOPS } from '@postern/protocol/limits'

export interface Visitor {
  /** An IP address. */
  readonly address: string
  /** The key by which the address is counted. */
  readonly key: string
  readonly proto: 'http' | 'https'
  /** What the local server is sent of all this. */
  readonly forwarded: ForwardedFields
}

/** An address with its port has at most 53. */
const SHOWN_CHARACTERS = 60
const HIGHEST_PORT = 65_535

/** Networks of the proxies in front of the service. Forwarded fields are accepted from these alone. */
export class TrustedProxies extends NetworkList {
  /**
   * The visitor of a request that came by a connection of such a proxy. X-Forwarded-For is read from its end, which the nearest proxy wrote: the
   * first address that is no trusted proxy's is the visitor's. The visitor may have sent everything before that address. `Forwarded` and X-Real-IP
   * are ignored: most proxies pass them on as the visitor sent them.
   * An item that is no address, of those read, makes the request's visitor unknown; `unknown` and `_x` of RFC 7239 §6 are such items. The proxy's own
   * address would pass for the visitor's in rules and limits.
   * @param before the visitor of the same connection's request before this one, to be answered again where nothing differs
   * @returns the fault `forwarded-for-invalid` where the visitor is unknown
   */
  visitorOf(head: RequestHead, proxy: Visitor, before: Visitor): Visitor | TunnelFault {
    const { lines } = head
    const hops = listOf(lines.joined(FIELD.forwardedFor))
    const found = this.#visitorAmong(hops, proxy.address)
    if (found instanceof TunnelFault) return found
    const { address, at } = found
    const proto = protoOf(listOf(lines.joined(FIELD.forwardedProto)), hops.length, at) ?? proxy.proto
    const host = hostOf(listOf(lines.joined(FIELD.forwardedHost)), head)
    if (address === before.address && proto === before.proto && host === before.forwarded.host) return before
    return {
      address,
      key: addressKey(address, 'observed'),
      proto,
      forwarded: new ForwardedFields(address, proto, host),
    }
  }

  /** `at`: which of the hops it is; behind all of them for the proxy itself. */
  #visitorAmong(
    hops: readonly string[],
    proxy: string,
  ): { readonly address: string; readonly at: number } | TunnelFault {
    const last = Math.max(0, hops.length - MOST_FORWARDED_HOPS)
    let found = { address: proxy, at: hops.length }
    // Some proxies write an empty field where they would write none.
    if (hops.every((hop) => hop === '')) return found
    for (let at = hops.length - 1; at >= last && this.holds(found.address) === true; at -= 1) {
      const address = addressIn(hops[at]!)
      if (address === undefined)
        return new TunnelFault(
          'forwarded-for-invalid',
          `It is ${JSON.stringify(hops[at]!.slice(0, SHOWN_CHARACTERS))}.`,
        )
      found = { address, at }
    }
    return found
  }
}

/** The visitor as the connection shows it. */
export const visitorAt = (address: string, key: string, proto: 'http' | 'https'): Visitor => ({
  address,
  key,
  proto,
  forwarded: new ForwardedFields(address, proto),
})

const listOf = (text: string | undefined): string[] =>
  text === undefined ? [] : text.split(',').map((item) => item.trim())

/** `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]:4711`; an IPv4 address in the disguise of IPv6 as IPv4. A zone means nothing here. */
function addressIn(item: string): string | undefined {
  const [, bracketed, sixPort, four, fourPort] =
    /^(?:\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+):(\d{1,5}))$/.exec(item) ?? []
  if (Number(sixPort ?? fourPort ?? 0) > HIGHEST_PORT) return undefined
  const address = bracketed ?? four ?? item
  if (bracketed !== undefined && isIP(bracketed) !== 6) return undefined
  if (isIP(address) === 0 || address.includes('%')) return undefined
  return addressKey(address, 'strict').replace(/\/128$/, '')
}

/** Where each proxy has added its own, that of the visitor's hop; otherwise the last, which the nearest proxy wrote. `ws` and `wss`: some write so of a WebSocket. */
function protoOf(protos: readonly string[], hops: number, at: number): 'http' | 'https' | undefined {
  const proto = (protos.length === hops ? protos[at] : undefined) ?? protos.at(-1)
  switch (proto?.toLowerCase()) {
    case 'http':
    case 'ws':
      return 'http'
    case 'https':
    case 'wss':
      return 'https'
    default:
      return undefined
  }
}

/** Only a port may be added: through a proxy that passes the field on unchanged, a visitor could name any other site. */
function hostOf(hosts: readonly string[], { host, hostname }: RequestHead): string | undefined {
  const said = hosts.at(-1)?.toLowerCase()
  if (said === undefined || said === host || !isAuthority(said)) return undefined
  return said.replace(/:\d*$/, '') === hostname ? said : undefined
}
