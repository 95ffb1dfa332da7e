/** An IP address as the white list of a ticket knows it. One function for both planes, so that they cannot disagree. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { TunnelFault } from '../fault.ts'

// CommonJS without exports that Node could name.
const { IPv4, IPv6 } = ipaddr

/**
 * How closely the channel server looks at where an agent comes from. `strict`: the very address the control plane saw.
 * `observed`: an IPv6 network counts as one address, and an address the channel server saw may be added by a second
 * ticket. `off`: any address.
 */
export type IpPolicy = 'strict' | 'observed' | 'off'

/** Whether 127.0.0.1 and ::1 count as one address. `one` is for the whole system on one machine and for nothing else. */
export type Loopback = 'one' | 'distinct'

/**
 * The key of `ip` in a white list: the IPv4 address (also for `::ffff:a.b.c.d`, RFC 4291 §2.5.5.2), the IPv6 address
 * as /128 under `strict` and as its /64 under `observed`, `*` under `off`. A zone (`%eth0`) is dropped.
 * @throws TunnelFault `ip-not-allowed` if `ip` is no address: what cannot be read is on no list.
 */
export function addressKey(ip: string, policy: IpPolicy, loopback: Loopback = 'distinct'): string {
  if (policy === 'off') return '*'
  const bare = withoutZone(ip)
  const family = isIP(bare)
  if (family === 0) throw new TunnelFault('ip-not-allowed', 'The address of the connection cannot be read.')
  if (family === 4) return IPv4.parse(bare).toString()
  const address = IPv6.parse(bare)
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().toString()
  if (loopback === 'one' && address.range() === 'loopback') return '127.0.0.1'
  if (policy === 'strict') return `${address.toRFC5952String()}/128`
  const network = new IPv6([...address.parts.slice(0, 4), 0, 0, 0, 0])
  return `${network.toRFC5952String()}/64`
}

function withoutZone(ip: string): string {
  const percent = ip.indexOf('%')
  return percent < 0 ? ip : ip.slice(0, percent)
}
