/** The process of a data plane with a memory limit, and of its desk: `{limit}` starts it, `{subdomain, port}` gets a ticket. */
import { once } from 'node:events'
import { startMemoryTask } from './memory-task.ts'

const [{ limit }] = (await once(process, 'message')) as [{ limit: number }]
const { plane, desk } = await startMemoryTask(limit)
process.on('message', async ({ subdomain, port }: { subdomain: string; port: number }) => {
  process.send!(await desk.issue(subdomain, port))
})
process.on('disconnect', () => process.exit(0))
process.send!(plane.ports)
