/** Reads one PROXY protocol v2 header (haproxy.org proxy-protocol.txt §2.2). Knows nothing of what follows it. */
import type net from 'node:net'
import type { TunnelFault } from '../fault.ts'

export interface ProxySource {
  /** IPv4 or IPv6 in text; an IPv4-mapped IPv6 address is given as IPv4. */
  readonly address: string
  readonly port: number
}

export type ProxyHeader =
  /** A beginning that may still become a header. */
  | { readonly kind: 'incomplete' }
  /** The header takes the first `bytes` bytes; without `source` it speaks for the sender itself (LOCAL, UNSPEC, a unix socket). */
  | { readonly kind: 'header'; readonly bytes: number; readonly source: ProxySource | undefined }
  /** Does not begin with the twelve bytes of the signature: not a PROXY v2 connection. */
  | { readonly kind: 'absent' }
  /** Begins as a header and is none. */
  | { readonly kind: 'invalid'; readonly fault: TunnelFault }

export type ProxyPolicy = 'required' | 'optional' | 'off'

export declare function parseProxyHeader(bytes: Buffer): ProxyHeader

export interface ProxiedStart {
  /** Who is at the other end: the header's source, or the socket's own peer. */
  readonly source: ProxySource
  /** What already came behind the header; belongs to the payload. */
  readonly rest: Buffer
}

/**
 * Reads the header of a fresh raw socket as the policy says, and leaves the socket paused. `required` without one and any malformed one reject with
 * `proxy-header-invalid`; nothing within `timeoutMs` likewise. `optional` returns at the first byte that is not of the signature, `off` at once.
 * The socket is destroyed on rejection. The caller keeps its own 'error' listener.
 */
export declare function readProxyHeader(
  socket: net.Socket,
  policy: ProxyPolicy,
  options?: { timeoutMs?: number; signal?: AbortSignal },
): Promise<ProxiedStart>
