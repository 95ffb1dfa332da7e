/** Data planes in this process whose table is memory. Their sockets are real. When one stops, its counters must be back at 0. */
import { randomBytes } from 'node:crypto'
import { type DataPlane, type PlaneStores, startDataPlane } from '@postern/data-plane'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import pino from 'pino'
import { ResourceCheck } from '../support/resources/resource-check.ts'
import { memoryStores } from './memory-stores.ts'
import { type TicketDesk, ticketDesk } from './ticket-desk.ts'

const MEMORY_BYTES = 512 * 1024 * 1024
export const BASE = 'test.localhost'

export interface MemoryTask {
  readonly plane: DataPlane
  readonly desk: TicketDesk
  /** Ends this process's visits and channels, then the task. @throws Error that names what is left of them */
  stop(graceMs?: number): Promise<void>
}

/** @param memoryLimit what it takes for the memory of its process, in bytes */
export async function startMemoryTask(memoryLimit = MEMORY_BYTES): Promise<MemoryTask> {
  const secret = newDeploymentSecret(randomBytes)
  return await startTask('task-in-memory', memoryStores(), secret, undefined, memoryLimit)
}

/** Tasks with one table, each of which passes requests on to the others. */
export async function startMemoryTasks(count: number): Promise<MemoryTask[]> {
  const [secret, hop] = [newDeploymentSecret(randomBytes), newDeploymentSecret(randomBytes)]
  const stores = memoryStores()
  const ids = Array.from({ length: count }, (_, index) => `task-${index}`)
  return await Promise.all(ids.map((id) => startTask(id, stores, secret, hop, MEMORY_BYTES)))
}

async function startTask(
  taskId: string,
  stores: PlaneStores,
  channelSecret: string,
  hopSecret: string | undefined,
  memoryLimit: number,
): Promise<MemoryTask> {
  const keys = parseDeploymentKeys(channelSecret)
  const plane = await startDataPlane(
    {
      table: 'none',
      base: BASE,
      publicUrl: `http://{subdomain}.${BASE}`,
      publicHosts: ['127.0.0.1'],
      publicPort: 0,
      redirectPort: 0,
      channelPort: 0,
      peerPort: 0,
      peerAddress: undefined,
      metadataUri: undefined,
      opsPort: 0,
      proxyProtocol: 'off',
      trustedProxies: undefined,
      nestedNames: 'all',
      channelAddress: undefined,
      ipPolicy: 'strict',
      loopbackIsOne: false,
      channelSecret,
      hopSecret,
      apex: undefined,
      taskId,
      logLevel: 'silent',
      metrics: 'off',
      accessLog: 'off',
    },
    {
      stores,
      keys,
      hopKeys: hopSecret === undefined ? undefined : parseDeploymentKeys(hopSecret),
      log: pino({ level: 'silent' }),
      clock: Date.now,
      now: () => performance.now(),
      memoryLimit,
      metrics: undefined,
      lines: { begin: () => undefined, flush: () => {}, dropped: 0 },
    },
  )
  const { ports } = plane
  const resources = new ResourceCheck()
  let over = false
  await resources.watch({ name: 'the task', ports: { ...ports, peer: 0 }, calls: [], over: () => over })
  const stop = async (graceMs?: number): Promise<void> => {
    await resources.visitorsGone()
    await resources.agentsGone()
    over = true
    await plane.stop(graceMs)
    resources.verdict()
  }
  return { plane, desk: ticketDesk(stores.tickets, keys), stop }
}
