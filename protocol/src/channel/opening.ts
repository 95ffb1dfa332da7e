/** Both ends of the opening of a channel, side by side: header, id, answer line, TLS 1.3-PSK, consumption. Knows nothing of the multiplexer or the table. */
import type net from 'node:net'
import type tls from 'node:tls'
import { TunnelFault } from '../fault.ts'
import type { OpeningCeilings } from './opening-ceilings.ts'
import type { ProxyPolicy } from './proxy-header.ts'

/** What the opening needs to know of a ticket. */
export interface OpenableTicket {
  /** 32 bytes. */
  readonly encryptionKey: Uint8Array
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  /** Address keys, as `OpeningHost.addressKey` makes them. */
  readonly allowedIps: ReadonlySet<string>
}

/** What the server end is handed: the task, its tickets and its clock. */
export interface OpeningHost<T extends OpenableTicket> {
  readonly taskId: string
  /** Undefined while this task takes channels; otherwise `server-draining` or `server-busy`. */
  refusal(): TunnelFault | undefined
  /** Strongly consistent read; undefined: unknown. A rejection is answered `server-busy`. */
  find(workerId: string): Promise<T | undefined>
  /** The form in which addresses stand in `allowedIps`. */
  addressKey(ip: string): string
  /** The signed observation that goes with `ip-not-allowed`. */
  observe(workerId: string, seenIp: string): string
  /** One conditional delete. Resolves on the win; rejects `ticket-refused` when lost, `server-busy` when the outcome is unknown. */
  consume(workerId: string, ticket: T, seenIp: string): Promise<void>
  /** Milliseconds since 1970. */
  now(): number
}

export interface AcceptOptions {
  readonly proxyProtocol: ProxyPolicy
  readonly signal?: AbortSignal
  /** From accept to the consumed ticket, in milliseconds; OPENING_TIMEOUT_MS unless told. */
  readonly timeoutMs?: number
  /** Shared by all openings of a task; beyond them the answer is `server-busy`. None: no ceiling. */
  readonly ceilings?: OpeningCeilings
}

export interface AcceptedOpening<T> {
  /** Secured and paused; nothing has been read from it. */
  readonly socket: tls.TLSSocket
  readonly ticket: T
  readonly workerId: string
  readonly clientAddress: string
}

/** Refused because of the address; both facts are for the control plane's next ticket. */
export class IpNotAllowedFault extends TunnelFault {
  readonly seenIp: string
  readonly observation: string

  constructor(seenIp: string, observation: string) {
    super('ip-not-allowed', `It saw ${seenIp}.`)
    this.seenIp = seenIp
    this.observation = observation
  }
}

/**
 * Server end. Resolves with the secured socket; rejects with a `TunnelFault` after having answered and closed.
 * Never leaks the socket and never emits an unhandled error, whatever the peer does.
 */
export declare function acceptOpening<T extends OpenableTicket>(
  raw: net.Socket,
  host: OpeningHost<T>,
  options: AcceptOptions,
): Promise<AcceptedOpening<T>>

export interface OpenOptions {
  readonly signal?: AbortSignal
  /** From the id to the proven key, in milliseconds; OPENING_TIMEOUT_MS unless told. */
  readonly timeoutMs?: number
  /** Hears which task answered, before the ticket is spent. What it throws ends the opening with just that (the ticket stays usable). */
  readonly onAnswer?: (taskId: string) => void
}

export interface OpenedChannel {
  /** Secured and paused; nothing has been read from it. */
  readonly socket: tls.TLSSocket
  readonly taskId: string
}

/**
 * Agent end, on a connected socket. Rejects with a `TunnelFault`, the socket destroyed: `ticket-refused`, `ip-not-allowed` (an
 * `IpNotAllowedFault`), `server-draining`, `server-busy` (with `retryAfterMs`), `key-mismatch`, `opening-timeout`,
 * `opening-malformed`, `channel-lost`; with `signal.reason` when aborted.
 */
export declare function openChannel(
  socket: net.Socket,
  ticket: { readonly workerId: string; readonly encryptionKeyText: string },
  options?: OpenOptions,
): Promise<OpenedChannel>
