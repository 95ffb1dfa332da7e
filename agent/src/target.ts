/** Where the local server listens, as given on the command line. Knows the rules for such a place; connects to nothing. */
import { BlockList, isIP } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'

export interface Target {
  /** A host name, or addresses to try in this order. */
  readonly host: string | readonly string[]
  readonly port: number
  /** How a person would write it. */
  readonly label: string
}

/** Vite and others listen on ::1 only, so a bare port means both loopback addresses. */
const LOOPBACK = ['127.0.0.1', '::1'] as const

/** Link-local addresses and the metadata services of clouds: a tunnel to these would publish the credentials of a machine. */
const FORBIDDEN = new BlockList()
FORBIDDEN.addSubnet('169.254.0.0', 16, 'ipv4')
FORBIDDEN.addSubnet('fe80::', 10, 'ipv6')
FORBIDDEN.addAddress('fd00:ec2::254', 'ipv6')
FORBIDDEN.addAddress('100.100.100.200', 'ipv4')

/**
 * `3000`, `host:3000`, `[::1]:3000` or `http://host:3000`.
 *
 * @throws TunnelFault `usage-invalid`
 */
export function parseTarget(text: string): Target {
  if (/^\d+$/.test(text)) return at('localhost', text, text)
  const url = parseUrl(text.includes('://') ? text : `http://${text}`)
  if (!url) throw refused(text, 'expected a port, host:port or http://host:port')
  if (url.protocol !== 'http:') throw refused(text, 'the local server is spoken to in plain HTTP')
  if (url.username || url.password) throw refused(text, 'it must not hold credentials')
  if (url.pathname !== '/' || url.search || url.hash) throw refused(text, 'visitors choose the path; leave it out')
  if (!text.includes('://') && !/:\d+$/.test(text)) throw refused(text, 'the port is missing')
  return at(url.hostname.replace(/^\[|\]$/g, ''), url.port || '80', text)
}

function at(host: string, portText: string, text: string): Target {
  const port = Number(portText)
  if (port < 1 || port > 65_535) throw refused(text, 'a port is a number from 1 to 65535')
  const shown = isIP(host) === 6 ? `[${host}]` : host
  return { host: host === 'localhost' ? LOOPBACK : host, port, label: `http://${shown}:${port}` }
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

/**
 * The addresses of a target, fixed for the life of the agent: whoever controls a name must not be able to turn the
 * tunnel to another machine later.
 *
 * @param lookup all addresses of a name, as `dns.promises.lookup` gives them
 * @throws TunnelFault `usage-invalid` if there is none, or one that a tunnel must not publish
 */
export async function pinTarget(
  target: Target,
  lookup: (name: string) => Promise<readonly { address: string }[]>,
): Promise<readonly string[]> {
  const addresses = await addressesOf(target, lookup)
  for (const address of addresses) {
    if (FORBIDDEN.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'))
      throw refused(target.label, `${address} is link-local or a metadata service`)
  }
  return addresses
}

async function addressesOf(
  { host, label }: Target,
  lookup: (name: string) => Promise<readonly { address: string }[]>,
): Promise<readonly string[]> {
  if (typeof host !== 'string') return host
  if (isIP(host)) return [host]
  try {
    return (await lookup(host)).map(({ address }) => address)
  } catch (cause) {
    throw new TunnelFault('usage-invalid', `${label}: the name ${host} has no address`, { cause })
  }
}

const refused = (text: string, why: string): TunnelFault =>
  new TunnelFault('usage-invalid', `${JSON.stringify(text)}: ${why}.`)
