/** Networks of IP addresses as people write them (RFC 4632, RFC 4291 §2.3), and lists of them. Knows nothing of who is let in. */
import { BlockList, isIP, isIPv4 } from 'node:net'
import { addressKey } from './address-key.ts'

export interface Network {
  /** Without zone; the first of the network. */
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32` or a single address. Undefined if it is none: also where bits stand behind the prefix, because
 * `10.1.2.3/8` may mean either, and where an IPv4 address is written as IPv6, because a list knows it as IPv4.
 */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', digits] = /^([0-9A-Fa-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return undefined
  const bytes = version === 4 ? 4 : 16
  const prefix = digits === undefined ? bytes * 8 : Number(digits)
  if (prefix > bytes * 8) return undefined
  if (version === 6 && isIPv4(plainAddress(address) ?? '')) return undefined
  const family = version === 4 ? 'ipv4' : 'ipv6'
  return isFirst(address, family, prefix) ? { address, prefix, family } : undefined
}

/** Whether no bit behind the prefix is set: then no smaller address is in the network. */
function isFirst(address: string, family: Network['family'], prefix: number): boolean {
  const bits = bitsOf(address, family)
  return !bits.includes('1', prefix)
}

function bitsOf(address: string, family: Network['family']): string {
  if (family === 'ipv4')
    return address
      .split('.')
      .map((byte) => Number(byte).toString(2).padStart(8, '0'))
      .join('')
  // The URL parser writes an IPv6 address in its one canonical form (RFC 5952), without dots.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [front = '', back] = canonical.split('::')
  const words = (part: string | undefined): string[] => (part ? part.split(':') : [])
  const [head, tail] = [words(front), words(back)]
  const zeros = new Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].map((word) => Number.parseInt(word, 16).toString(2).padStart(16, '0')).join('')
}

/** An address in the form lists know: without zone, IPv4 also where it came as `::ffff:a.b.c.d`. Undefined if it is none. */
function plainAddress(ip: string): string | undefined {
  try {
    return addressKey(ip, 'strict').replace(/\/128$/, '')
  } catch {
    // What cannot be read is in no list; the caller decides what that means.
    return undefined
  }
}

/** Networks, asked about one address at a time. An empty list holds nobody. */
export class NetworkList {
  // One list for each family: a BlockList that holds `::/0` holds every IPv4 address too.
  readonly #lists = { ipv4: new BlockList(), ipv6: new BlockList() }

  constructor(networks: Iterable<Network>) {
    for (const { address, prefix, family } of networks) this.#lists[family].addSubnet(address, prefix, family)
  }

  /** Whether the address is in one of the networks; undefined if it is no address, so that nobody takes that for an answer. */
  holds(ip: string): boolean | undefined {
    const plain = plainAddress(ip)
    if (plain === undefined) return undefined
    const family = isIPv4(plain) ? 'ipv4' : 'ipv6'
    return this.#lists[family].check(plain, family)
  }
}
