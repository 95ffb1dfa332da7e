/** The process of weighed-tasks.ts. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type MemoryTask, startMemoryTask, startMemoryTasks } from './memory-task.ts'
import type { TasksOrder, Weight } from './weighed-tasks.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function weigh(): Promise<Weight> {
  const resident = process.memoryUsage.rss()
  let live = Infinity
  // What one collection lets go, callbacks of a later turn may let go more of; and V8 gives memory of Buffers back in a thread of its own. Meanwhile a visitor
  // that goes on sending makes more garbage. So the least of several looks counts.
  for (let round = 0; round < 5; round++) {
    collectGarbage()
    await setTimeout(5)
    const { heapUsed, external } = process.memoryUsage()
    live = Math.min(live, heapUsed + external)
  }
  return { live, resident }
}

const [{ tasks: count }] = (await once(process, 'message')) as [{ tasks: number }]
const tasks: MemoryTask[] = count === 1 ? [await startMemoryTask()] : await startMemoryTasks(count)
const { plane, desk } = tasks[0]!
process.on('message', async (order: Exclude<TasksOrder, { tasks: number }>) => {
  if (order === 'weigh') process.send!(await weigh())
  else process.send!(await desk.issue(order.subdomain, plane.ports.channel, order.subdomain))
})
process.on('disconnect', () => process.exit(0))
process.send!(tasks.map((task) => task.plane.ports))
