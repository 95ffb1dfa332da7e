/** A channel server whose connections lead to the tasks that a test names, one after the other. Knows nothing of what is tested. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { acceptOpening, Channel, serverControlStream } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { WindowBudget } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'

export interface ChannelServer {
  readonly ticket: ChannelTicket
  /** The tasks that were come to, in order. */
  readonly met: readonly string[]
  /** How often the ticket was spent. */
  readonly spent: number
  /** The server's ends of the channels that were welcomed. */
  readonly channels: readonly Channel[]
  stop(): Promise<void>
}

export interface ChannelServerOptions {
  /** Of the n-th connection, counted from 1. */
  taskOf?(connection: number): string
  /** Why the n-th connection is refused before the ticket is spent. */
  refusal?(connection: number): TunnelFault | undefined
  /** Whether the n-th connection breaks, and when. */
  breaks?(connection: number): 'unanswered' | 'answered' | undefined
}

export async function startChannelServer(options: ChannelServerOptions = {}): Promise<ChannelServer> {
  const key = randomBytes(32)
  const met: string[] = []
  const channels: Channel[] = []
  const state = { spent: 0 }
  const server = createServer(async (raw) => {
    const taskId = options.taskOf?.(met.length + 1) ?? 'task'
    const refusal = options.refusal?.(met.length + 1)
    const broken = options.breaks?.(met.length + 1)
    met.push(taskId)
    if (broken === 'unanswered') return void raw.once('data', () => raw.resetAndDestroy())
    const host = {
      taskId,
      refusal: () => refusal,
      find: async () => ({ encryptionKey: key, expiresAt: Number.POSITIVE_INFINITY, allowedIps: new Set(['*']) }),
      addressKey: () => '*',
      observe: () => '',
      consume: async () => {
        state.spent += 1
        if (broken === 'answered') raw.resetAndDestroy()
      },
      now: Date.now,
    }
    // Whoever is refused or goes away is told of by the agent's end.
    const opening = await acceptOpening(raw, host, { proxyProtocol: 'off' }).catch(() => undefined)
    if (opening) channels.push(serve(opening.socket, taskId))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    ticket: {
      ...{ host: '127.0.0.1', port: (server.address() as AddressInfo).port, workerId: 'worker-0123456789' },
      ...{ encryptionKeyText: key.toString('hex'), url: 'http://demo.test', expiresAt: '', seenIp: '127.0.0.1' },
      protocol: 1,
    },
    met,
    channels,
    get spent() {
      return state.spent
    },
    async stop() {
      for (const channel of channels) channel.destroy(new TunnelFault('channel-closed'))
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

function serve(socket: ConstructorParameters<typeof Channel>[0]['socket'], taskId: string): Channel {
  const now = (): number => performance.now()
  const channel = new Channel({
    socket,
    side: 'server',
    budget: new WindowBudget(0),
    now,
    peerStreams: 1,
    events: {
      streamOpened(stream) {
        const control = serverControlStream({
          stream,
          now,
          message: ({ type }) => {
            if (type !== 'hello') return
            const facts = { subdomain: 'demo', url: 'http://demo.test', taskId, epoch: 1, heartbeatMs: 10_000 }
            control.send({ type: 'welcome', ...facts })
          },
          ended: () => undefined,
        })
      },
      lost: () => undefined,
    },
  })
  return channel
}
