/** Writes the PROXY protocol v2 header that a balancer puts before a connection (haproxy.org/download/2.9/doc/proxy-protocol.txt §2.2). Knows nothing of sockets. */
import { isIPv4 } from 'node:net'

/** One end of a TCP connection. */
export interface End {
  /** IPv4 or IPv6 in text; an IPv4-mapped IPv6 address is written as the IPv6 it is. */
  readonly address: string
  readonly port: number
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const VERSION_2_LOCAL = 0x20
const VERSION_2_PROXY = 0x21
const UNSPEC = 0x00
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21

/** For a connection of the balancer's own: it checks the health of a task. */
export const LOCAL_HEADER = Buffer.from([...SIGNATURE, VERSION_2_LOCAL, UNSPEC, 0, 0])

/** For a connection that `source` made to `destination`; both of one family, or both are written as IPv6. */
export function proxyHeader(source: End, destination: End): Buffer {
  const four = isIPv4(source.address) && isIPv4(destination.address)
  const bytesOf = (address: string): number[] => (four ? fourBytes(address) : sixteenBytes(address))
  const addresses = [...bytesOf(source.address), ...bytesOf(destination.address)]
  const block = [...addresses, ...twoBytes(source.port), ...twoBytes(destination.port)]
  const family = four ? TCP_OVER_IPV4 : TCP_OVER_IPV6
  return Buffer.from([...SIGNATURE, VERSION_2_PROXY, family, ...twoBytes(block.length), ...block])
}

const twoBytes = (value: number): number[] => [value >> 8, value & 0xff]
const fourBytes = (address: string): number[] => address.split('.').map(Number)

/** RFC 4291 §2.2: groups of 16 bits, one run of zeros left out, perhaps IPv4 at the end. */
function sixteenBytes(address: string): number[] {
  if (isIPv4(address)) return sixteenBytes(`::ffff:${address}`)
  const [head = '', tail] = address.split('%')[0]!.split('::')
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  return [...before, ...Array<number>(16 - before.length - after.length).fill(0), ...after]
}

const groups = (text: string): number[] =>
  text === ''
    ? []
    : text.split(':').flatMap((group) => (isIPv4(group) ? fourBytes(group) : twoBytes(Number.parseInt(group, 16))))
