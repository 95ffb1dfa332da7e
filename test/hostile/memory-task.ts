/** A data plane in this process whose table is memory, and agents of this process for it. Real sockets throughout. */
import { randomBytes, randomUUID } from 'node:crypto'
import { type DataPlane, startDataPlane } from '@postern/data-plane'
import { WindowBudget } from '@postern/protocol/mux'
import { type ChannelTicket, newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import pino from 'pino'
import { dialChannel } from '../../agent/src/dial-channel.ts'
import type { LiveChannel } from '../../agent/src/live-channel.ts'
import { LocalServer } from '../../agent/src/local-server.ts'
import { memoryStores } from './memory-stores.ts'
import { type TicketDesk, ticketDesk } from './ticket-desk.ts'

const MEMORY_BYTES = 512 * 1024 * 1024
export const BASE = 'test.localhost'

export interface MemoryTask {
  readonly plane: DataPlane
  readonly desk: TicketDesk
  /** A channel that serves what listens on `originPort`; it does not come back when it is lost. */
  dial(ticket: ChannelTicket, originPort: number): Promise<LiveChannel>
}

export async function startMemoryTask(): Promise<MemoryTask> {
  const channelSecret = newDeploymentSecret(randomBytes)
  const keys = parseDeploymentKeys(channelSecret)
  const stores = memoryStores()
  const now = (): number => performance.now()
  const plane = await startDataPlane(
    {
      table: 'none',
      base: BASE,
      publicUrl: `http://{subdomain}.${BASE}`,
      publicHosts: ['127.0.0.1'],
      publicPort: 0,
      channelPort: 0,
      opsPort: 0,
      proxyProtocol: 'off',
      ipPolicy: 'strict',
      loopbackIsOne: false,
      channelSecret,
      apex: undefined,
      taskId: 'task-in-memory',
      logLevel: 'silent',
    },
    { stores, keys, log: pino({ level: 'silent' }), clock: Date.now, now, memoryLimit: MEMORY_BYTES },
  )
  const budget = new WindowBudget(MEMORY_BYTES / 16)
  return {
    plane,
    desk: ticketDesk(stores.tickets, keys),
    async dial(ticket, originPort) {
      const hello = { version: '0.0.0', instanceId: randomUUID(), slot: 0, pool: false, rules: {} }
      const server = new LocalServer(['127.0.0.1'], originPort)
      const { channel } = await dialChannel(ticket, { hello, server, budget, now }, new AbortController().signal)
      return channel
    },
  }
}
