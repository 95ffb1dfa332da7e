/** From a ticket to a welcomed channel: TCP, opening, hello. Knows nothing of how tickets are got or of what follows a failure. */
import net from 'node:net'
import { openChannel, type Welcome } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { OPENING_TIMEOUT_MS } from '@postern/protocol/limits'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { LiveChannel, type LiveChannelOptions } from './live-channel.ts'
import { messageOf } from './network-error.ts'

export interface DialedChannel {
  readonly channel: LiveChannel
  readonly welcome: Welcome
}

/**
 * @param onAnswer hears which task answered, before the ticket is spent; what it throws ends the opening with just that
 * @throws TunnelFault of the opening, of the refusal, or `server-unreachable`; `signal.reason` when aborted
 */
export async function dialChannel(
  ticket: ChannelTicket,
  options: LiveChannelOptions,
  signal: AbortSignal,
  onAnswer?: (taskId: string) => void,
): Promise<DialedChannel> {
  const raw = await connect(ticket.host, ticket.port, signal)
  const { socket } = await openChannel(raw, ticket, { signal, ...(onAnswer && { onAnswer }) })
  const channel = new LiveChannel(socket, options)
  return { channel, welcome: await channel.welcome(signal) }
}

/** A TCP connection without an 'error' listener of ours: the opening owns the socket from then on. */
function connect(host: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true })
    socket.setTimeout(OPENING_TIMEOUT_MS)
    const settle = (error?: unknown): void => {
      socket.setTimeout(0)
      socket.off('connect', connected).off('error', failed).off('timeout', timedOut)
      signal.removeEventListener('abort', aborted)
      if (error === undefined) {
        resolve(socket)
      } else {
        socket.on('error', () => undefined).destroy()
        reject(error)
      }
    }
    const unreachable = (why: string, cause?: Error): TunnelFault =>
      new TunnelFault('server-unreachable', `${host}:${port}: ${why}.`, { cause })
    const connected = (): void => settle()
    const failed = (error: Error): void => settle(unreachable(messageOf(error), error))
    const timedOut = (): void => settle(unreachable(`no answer within ${OPENING_TIMEOUT_MS} ms`))
    const aborted = (): void => settle(signal.reason)
    socket.on('connect', connected).on('error', failed).on('timeout', timedOut)
    signal.addEventListener('abort', aborted)
  })
}
