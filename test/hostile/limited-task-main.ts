/**
 * The process of a data plane with a memory limit, and of its desk: `{limit}` starts it, `{subdomain, port, username}` gets a ticket, `'weigh'` what it
 * holds in memory, SIGTERM ends it.
 */
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startMemoryTask } from './memory-task.ts'

export interface Weight {
  /** What is in use once garbage has been collected, in bytes: the heap, and all that V8 counts beside it (Buffers, node:http2, OpenSSL). */
  readonly live: number
  /** What the system counts as resident, which garbage and the allocator's reserves are a part of; bytes. */
  readonly resident: number
}

interface TicketOrder {
  readonly subdomain: string
  readonly port: number
  readonly username: string
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function weigh(): Promise<Weight> {
  const resident = process.memoryUsage.rss()
  // What one collection lets go, callbacks of a later turn may let go more of.
  for (let round = 0; round < 3; round++) {
    collectGarbage()
    await turn()
  }
  const { heapUsed, external } = process.memoryUsage()
  return { live: heapUsed + external, resident }
}

const [{ limit }] = (await once(process, 'message')) as [{ limit: number }]
const { plane, desk, stop } = await startMemoryTask(limit)
process.on('message', async (message: TicketOrder | 'weigh') => {
  if (message === 'weigh') return process.send!(await weigh())
  const { subdomain, port, username } = message
  return process.send!(await desk.issue(subdomain, port, username))
})
process.on('SIGTERM', async () => {
  await stop(0)
  process.exit(0)
})
process.on('disconnect', () => process.exit(0))
process.send!(plane.ports)
