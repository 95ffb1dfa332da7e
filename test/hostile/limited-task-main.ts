/** The process of a data plane with a memory limit, and of its desk: `{limit}` starts it, `{subdomain, port, username}` gets a ticket, SIGTERM ends it. */
import { once } from 'node:events'
import { startMemoryTask } from './memory-task.ts'

const [{ limit }] = (await once(process, 'message')) as [{ limit: number }]
const { plane, desk, stop } = await startMemoryTask(limit)
process.on('message', async ({ subdomain, port, username }: { subdomain: string; port: number; username: string }) => {
  process.send!(await desk.issue(subdomain, port, username))
})
process.on('SIGTERM', async () => {
  await stop(0)
  process.exit(0)
})
process.on('disconnect', () => process.exit(0))
process.send!(plane.ports)
