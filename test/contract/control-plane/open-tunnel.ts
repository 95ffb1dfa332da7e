/** A tunnel as a task of the data plane leaves it in the table: name, lease, route and row of the list. */
import { randomBytes } from 'node:crypto'
import type { Stores } from '@postern/protocol/store'
import { START } from './deployment.ts'

interface Opening {
  name: string
  username: string
  slot?: number
  taskId?: string
  now?: number
}

/** Ids that sort by the time they were made. */
const newId = (): string => `01J${process.hrtime.bigint().toString().padStart(23, '0')}`

export async function openTunnel(stores: Stores, opening: Opening): Promise<{ connId: string; epoch: number }> {
  const { name, username, slot = 0, taskId = 'task-1', now = START } = opening
  const bootId = bootOf(taskId)
  const connId = randomBytes(8).toString('hex')
  const { reservationId } = await stores.reservations.reserve({ name, username, ephemeral: false, now, newId })
  await renewLease(stores, taskId, now)
  const place = { ...{ name, slot, taskId, bootId, connId, username }, instanceId: connId, pool: slot > 0 }
  const { epoch } = await stores.routes.claim({ ...place, reservationId, tokenHash: 'its token', now })
  await stores.tunnels.put({ name, slot, username, taskId, bootId, connId, epoch, claimedAt: now })
  return { connId, epoch }
}

export const renewLease = (stores: Stores, taskId: string, now: number) =>
  stores.tasks.renew({ ...{ taskId, bootId: bootOf(taskId), now }, ...task })

export const endLease = (stores: Stores, taskId: string) => stores.tasks.end({ taskId, bootId: bootOf(taskId) })

const bootOf = (taskId: string): string => `boot of ${taskId}`
const task = { addr: '127.0.0.1:1', draining: false, tunnels: 1, version: 'test' }
