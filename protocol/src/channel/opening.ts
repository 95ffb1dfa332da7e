/** Both ends of the opening of a channel, side by side: id, answer line, TLS 1.3-PSK, consumption. Knows nothing of tables or of what the channel carries. */
import type net from 'node:net'
import { performance } from 'node:perf_hooks'
import type tls from 'node:tls'
import { TunnelFault, toFault } from '../fault.ts'
import {
  BUSY_RETRY_MS,
  CLOSE_GRACE_MS,
  OPENING_TIMEOUT_MS,
  PROXY_HEADER_TIMEOUT_MS,
  WORKER_ID_BYTES,
} from '../limits.ts'
import { acceptLine, refusalLine, takeAnswer } from './answer-line.ts'
import { IpNotAllowedFault } from './ip-not-allowed.ts'
import type { OpeningCeilings } from './opening-ceilings.ts'
import { OpeningSocket, type Taken } from './opening-socket.ts'
import { headerTimeout, type ProxyPolicy, takeSource } from './proxy-header.ts'
import { secureAgent, secureServer } from './secure.ts'
import { refuseSecured } from './secured-refusal.ts'

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

/** Of a task and of an address. */
const CEILINGS = 2

/**
 * Server end. Resolves with the secured socket; rejects with a `TunnelFault` after having answered and closed.
 * Never leaks the socket and never emits an unhandled error, whatever the peer does.
 */
export async function acceptOpening<T extends OpenableTicket>(
  raw: net.Socket,
  host: OpeningHost<T>,
  options: AcceptOptions,
): Promise<AcceptedOpening<T>> {
  const owner = new OpeningSocket(raw, options.signal)
  const leave: (() => void)[] = []
  try {
    return await accept(owner, host, options, leave)
  } catch (error) {
    const fault = toFault(error, options.signal?.aborted ? 'server-draining' : 'internal-error')
    await refuse(owner, fault, leave.length === CEILINGS || options.ceilings === undefined)
    throw fault
  } finally {
    // A read of the table that outlives its socket still counts: otherwise connect-and-reset would be a way around the ceilings.
    void owner.idle().then(() => {
      for (const removal of leave) removal()
    })
  }
}

async function accept<T extends OpenableTicket>(
  owner: OpeningSocket,
  host: OpeningHost<T>,
  options: AcceptOptions,
  leave: (() => void)[],
): Promise<AcceptedOpening<T>> {
  const timeoutMs = options.timeoutMs ?? OPENING_TIMEOUT_MS
  const began = performance.now()
  if (options.ceilings) leave.push(options.ceilings.enter())

  owner.expireIn(Math.min(PROXY_HEADER_TIMEOUT_MS, timeoutMs), headerTimeout)
  const { address: clientAddress } = await takeSource(owner, options.proxyProtocol)
  owner.expireIn(timeoutMs - (performance.now() - began), openingTimeout)
  if (options.ceilings) leave.push(options.ceilings.enterFrom(clientAddress))

  const workerId = await owner.take(takeWorkerId)
  const refusal = host.refusal()
  if (refusal) throw refusal
  const ticket = await owner.during(host.find(workerId).catch(unreadable))
  if (ticket === undefined || ticket.expiresAt <= host.now()) throw new TunnelFault('ticket-refused')
  if (!ticket.allowedIps.has(host.addressKey(clientAddress)))
    throw new IpNotAllowedFault(clientAddress, host.observe(workerId, clientAddress))
  await owner.write(acceptLine(host.taskId))

  await owner.secure((raw) => secureServer(raw, workerId, ticket.encryptionKey))
  await owner.during(host.consume(workerId, ticket, clientAddress))
  return { socket: owner.releaseSecured(), ticket, workerId, clientAddress }
}

/**
 * Sends the reason, where the peer can still read it, and closes.
 * @param counted whether the connection has a place of its address and of the task. One that has not must not stay open, or refused connections would fill the task.
 */
async function refuse(owner: OpeningSocket, fault: TunnelFault, counted: boolean): Promise<void> {
  if (owner.proven) return await refuseSecured(owner.releaseSecured(), fault)
  const line = refusalLine(fault)
  if (line === undefined) owner.destroy()
  else await owner.dismiss(line, counted ? CLOSE_GRACE_MS : 0)
}

function takeWorkerId(pending: Buffer): Taken<string> | undefined {
  const end = pending.indexOf(0x0a)
  if (end < 0 && pending.length <= WORKER_ID_BYTES) return undefined
  const workerId = pending.toString('latin1', 0, end)
  if (end < 0 || end > WORKER_ID_BYTES || !isWorkerId(workerId))
    throw new TunnelFault('opening-malformed', 'The connection does not begin with an id.')
  return { bytes: end + 1, value: workerId }
}

const isWorkerId = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)

function unreadable(error: unknown): never {
  throw new TunnelFault('server-busy', 'The ticket could not be read.', { cause: error, retryAfterMs: BUSY_RETRY_MS })
}

const openingTimeout = (): TunnelFault => new TunnelFault('opening-timeout')

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
export async function openChannel(
  socket: net.Socket,
  ticket: { readonly workerId: string; readonly encryptionKeyText: string },
  options: OpenOptions = {},
): Promise<OpenedChannel> {
  const owner = new OpeningSocket(socket, options.signal)
  try {
    owner.expireIn(options.timeoutMs ?? OPENING_TIMEOUT_MS, openingTimeout)
    const key = keyOf(ticket)
    await owner.write(`${ticket.workerId}\n`)
    const taskId = await owner.take(takeAnswer)
    options.onAnswer?.(taskId)
    await owner.secure((raw) => secureAgent(raw, ticket.workerId, key))
    return { socket: owner.releaseSecured(), taskId }
  } catch (error) {
    owner.destroy()
    throw error
  }
}

function keyOf(ticket: { workerId: string; encryptionKeyText: string }): Buffer {
  if (!isWorkerId(ticket.workerId) || ticket.workerId.length > WORKER_ID_BYTES)
    throw new TunnelFault('opening-malformed', 'The ticket has no usable id.')
  if (!/^[0-9a-f]{64}$/i.test(ticket.encryptionKeyText))
    throw new TunnelFault('opening-malformed', 'The ticket has no key of 32 bytes.')
  return Buffer.from(ticket.encryptionKeyText, 'hex')
}
