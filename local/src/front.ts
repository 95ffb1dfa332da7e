/** Somebody's own TLS front before this machine, and how tunnels are reached by it. */
import { isIP } from 'node:net'
import { parseNetwork, parseSubdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'

export interface Front {
  /** The base domain of tunnels: it and all names below it lead to the front. */
  readonly base: string
  /** Where the front connects from. */
  readonly trustedProxies: readonly string[]
  /** Where agents connect, on every address of this machine: the front does not see them. */
  readonly channelPort: number
  /** Tunnels with hosts below their names, for which the front has certificates; undefined: none. */
  readonly nestedNames: string | undefined
}

export interface FrontFlags {
  readonly base?: string | undefined
  readonly 'trusted-proxy'?: readonly string[] | undefined
  readonly 'channel-port'?: string | undefined
  readonly 'nested-names'?: string | undefined
}

/** As a deployment on AWS has it. */
const CHANNEL_PORT = 7000
/** RFC 1123 §2.1, in lower case, at least two labels. */
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/

/** Undefined: there is none. @throws TunnelFault `usage-invalid` */
export function frontOf(flags: FrontFlags): Front | undefined {
  const { base, 'trusted-proxy': trustedProxies = [], 'channel-port': channelPort, 'nested-names': nestedNames } = flags
  if (base === undefined) {
    const [needless] = Object.entries(flags).find(([, value]) => value !== undefined) ?? []
    if (needless !== undefined) throw usage(`--${needless} goes with --base.`)
    return undefined
  }
  if (!DOMAIN.test(base)) throw usage(`--base ${base}: expected a domain in lower case, like tunnel.example.com.`)
  // Agents send their token in clear to no other machine.
  if (trustedProxies.length === 0)
    throw usage('--base goes with --trusted-proxy: a service for others is reached by https.')
  for (const network of trustedProxies)
    if ((parseNetwork(network)?.prefix ?? 0) === 0)
      throw usage(`--trusted-proxy ${network}: expected a network, like 127.0.0.0/8 or fd00::/8.`)
  return {
    base,
    trustedProxies,
    channelPort: portOf('--channel-port', channelPort ?? String(CHANNEL_PORT)),
    nestedNames: nestedNamesOf(nestedNames),
  }
}

/** As the data plane reads them, which would refuse them later. @throws TunnelFault `usage-invalid` */
function nestedNamesOf(text: string | undefined): string | undefined {
  if (text === undefined || text === '' || text === '*') return text
  try {
    for (const name of text.split(',')) parseSubdomain(name.trim())
    return text
  } catch (cause) {
    throw new TunnelFault('usage-invalid', `--nested-names ${text}: expected * or names of tunnels, like demo,shop.`, {
      cause,
    })
  }
}

/** @throws TunnelFault `usage-invalid` */
export function portOf(flag: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw usage(`${flag} ${text}: a port is a number from 0 to 65535.`)
}

/** Every address of this machine is among these. */
const WILDCARDS = ['0.0.0.0', '::']

/**
 * Without a front, agents and visitors connect to `localhost`.
 * @param localhost the addresses of that name on this machine
 * @returns undefined: loopback
 * @throws TunnelFault `usage-invalid`
 */
export function listenAddressOf(
  text: string | undefined,
  front: Front | undefined,
  localhost: readonly string[],
): string | undefined {
  if (text === undefined) return text
  if (isIP(text) !== 0) {
    if (front !== undefined || [...localhost, ...WILDCARDS].includes(text)) return text
    throw usage(`--listen ${text} goes with --base: without it, tunnels are at localhost, which does not lead there.`)
  }
  throw usage(`--listen ${text}: expected an IP address of this machine, like 127.0.0.1 or 0.0.0.0.`)
}

const usage = (detail: string): TunnelFault => new TunnelFault('usage-invalid', detail)
