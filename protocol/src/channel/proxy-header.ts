/** Reads one PROXY protocol header: version 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt §2.2), or the text of version 1. Knows nothing of what follows it. */
import type net from 'node:net'
import ipaddr from 'ipaddr.js'
import { TunnelFault } from '../fault.ts'
import { PROXY_HEADER_BYTES, PROXY_HEADER_TIMEOUT_MS } from '../limits.ts'
import { OpeningSocket, type Taken } from './opening-socket.ts'
import { parseProxyTextHeader } from './proxy-text-header.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** Signature, version and command, family and transport, length. */
const FIXED_BYTES = 16

export interface ProxySource {
  /** IPv4 or IPv6 in text; an IPv4-mapped IPv6 address is given as IPv4. */
  readonly address: string
  readonly port: number
}

export type ProxyHeader =
  /** A beginning that may still become a header. */
  | { readonly kind: 'incomplete' }
  /** The header takes the first `bytes` bytes; without `source` it speaks for the sender itself (LOCAL, UNSPEC). */
  | { readonly kind: 'header'; readonly bytes: number; readonly source: ProxySource | undefined }
  /** Begins neither with the twelve bytes of the signature nor as a line of version 1. */
  | { readonly kind: 'absent' }
  /** Begins as a header and is none. */
  | { readonly kind: 'invalid'; readonly fault: TunnelFault }

/** Whether a connection of this port begins with a header: always, if it looks like one, or never. */
export type ProxyPolicy = 'required' | 'optional' | 'off'

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' }
const invalid = (detail: string): ProxyHeader => ({
  kind: 'invalid',
  fault: new TunnelFault('proxy-header-invalid', detail),
})

/** Judges the first bytes of a connection: each field as soon as it is there, the length before what it announces. TLVs are skipped. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  const compared = Math.min(bytes.length, SIGNATURE.length)
  if (bytes.compare(SIGNATURE, 0, compared, 0, compared) !== 0) return parseProxyTextHeader(bytes)
  if (bytes.length > 12 && bytes[12] !== 0x20 && bytes[12] !== 0x21)
    return invalid('It is not version 2 with the command LOCAL or PROXY.')
  const local = bytes[12] === 0x20
  const family = bytes[13]
  if (bytes.length > 13 && !local && family !== 0x00 && family !== 0x11 && family !== 0x21)
    return invalid('Its family is neither UNSPEC nor TCP over IPv4 or IPv6.')
  if (bytes.length < FIXED_BYTES) return INCOMPLETE
  const length = bytes.readUInt16BE(14)
  const end = FIXED_BYTES + length
  if (end > PROXY_HEADER_BYTES) return invalid(`It is longer than ${PROXY_HEADER_BYTES} bytes.`)
  const addressBytes = family === 0x11 ? 4 : 16
  // §2.2: with LOCAL the receiver discards the address block, family included; with UNSPEC it ignores the addresses.
  const addressed = !local && family !== 0x00
  if (addressed && length < 2 * addressBytes + 4) return invalid('It is too short for the addresses of its family.')
  if (bytes.length < end) return INCOMPLETE
  if (!addressed) return { kind: 'header', bytes: end, source: undefined }
  const address = addressText(bytes.subarray(FIXED_BYTES, FIXED_BYTES + addressBytes))
  return { kind: 'header', bytes: end, source: { address, port: bytes.readUInt16BE(FIXED_BYTES + 2 * addressBytes) } }
}

/** Four or sixteen bytes as text (RFC 5952); `::ffff:a.b.c.d` as `a.b.c.d`. */
function addressText(bytes: Buffer): string {
  return ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString()
}

export interface ProxiedStart {
  /** Who is at the other end: the header's source, or the socket's own peer. */
  readonly source: ProxySource
  /** Whether a header came that names nobody: whose bytes follow is not known. */
  readonly anonymous: boolean
  /** What already came behind the header; belongs to the payload. */
  readonly rest: Buffer
}

/**
 * Reads the header of a fresh raw socket as the policy says, and leaves the socket paused. `required` without one, any malformed one and
 * silence for `timeoutMs` reject with `proxy-header-invalid`; a lost socket with `channel-lost`. `optional` returns at the first byte that is
 * not of the signature, `off` at once. On rejection the socket is destroyed. An 'error' listener stays on the socket.
 */
export async function readProxyHeader(
  socket: net.Socket,
  policy: ProxyPolicy,
  options: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<ProxiedStart> {
  const owner = new OpeningSocket(socket, options.signal)
  try {
    owner.expireIn(options.timeoutMs ?? PROXY_HEADER_TIMEOUT_MS, headerTimeout)
    const { source, anonymous } = await takeStart(owner, policy)
    return { source, anonymous, rest: owner.releaseRaw() }
  } catch (error) {
    owner.destroy()
    throw error
  }
}

export const headerTimeout = (): TunnelFault => new TunnelFault('proxy-header-invalid', 'It did not arrive in time.')

/** Takes the header off a socket whose beginning is being read. */
export async function takeSource(owner: OpeningSocket, policy: ProxyPolicy): Promise<ProxySource> {
  return (await takeStart(owner, policy)).source
}

type Start = Omit<ProxiedStart, 'rest'>

async function takeStart(owner: OpeningSocket, policy: ProxyPolicy): Promise<Start> {
  const own: Start = { source: owner.peer, anonymous: false }
  return policy === 'off' ? own : owner.take((pending) => judge(pending, policy, own))
}

function judge(pending: Buffer, policy: ProxyPolicy, own: Start): Taken<Start> | undefined {
  const header = parseProxyHeader(pending)
  switch (header.kind) {
    case 'incomplete':
      return undefined
    case 'header': {
      const { bytes, source } = header
      return { bytes, value: source === undefined ? { ...own, anonymous: true } : { source, anonymous: false } }
    }
    case 'absent':
      if (policy === 'optional') return { bytes: 0, value: own }
      throw new TunnelFault('proxy-header-invalid', 'The connection does not begin with one.')
    case 'invalid':
      throw header.fault
  }
}
