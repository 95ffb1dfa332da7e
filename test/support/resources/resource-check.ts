/** Checks that the tasks of one test hold nothing more when their visitors and agents have gone. */
import { ClientSockets } from './client-sockets.ts'
import { resourceTally } from './resource-tally.ts'
import { TaskResources, type WatchedTask } from './task-resources.ts'

export class ResourceCheck {
  readonly #tasks: { readonly task: WatchedTask; readonly resources: TaskResources }[] = []
  readonly #sockets = new ClientSockets()
  readonly #left: string[] = []
  /** Tasks that were looked at to the end. */
  #looked = 0
  readonly #patienceMs: number | undefined

  /** @param patienceMs how long tasks get to come back to their base; see `TaskResources` */
  constructor(patienceMs?: number) {
    this.#patienceMs = patienceMs
  }

  /** Call it when the task has just begun to listen. */
  async watch(task: WatchedTask): Promise<void> {
    this.#tasks.push({ task, resources: await TaskResources.watch(task, this.#patienceMs) })
  }

  /** Ends this process's visits, and waits until no task holds anything of a visitor. Agents still run. */
  async visitorsGone(): Promise<void> {
    this.#sockets.leave(this.#tasks.map(({ task }) => task.ports.public))
    const left = await Promise.all(this.#tasks.map(({ resources }) => resources.leftByVisitors()))
    this.#left.push(...left.flatMap((of) => of ?? []))
  }

  /** Waits until every task is back at its base. Call it when agents have ended; it destroys this process's connections to channel ports. */
  async agentsGone(): Promise<void> {
    this.#sockets.leave(this.#tasks.flatMap(({ task: { ports } }) => [ports.public, ports.channel]))
    this.#sockets.stop()
    const standing = this.#tasks.filter(({ task }) => !task.over())
    const left = standing.map(({ task, resources }) => {
      const others = standing.filter((other) => other.task !== task)
      return resources.leftByAgents(others.map((other) => other.task.reachedAt ?? other.task.ports.peer))
    })
    const looked = (await Promise.all(left)).filter((of) => of !== undefined)
    this.#looked += looked.length
    this.#left.push(...looked.flat())
  }

  /** @throws Error that names everything that is left */
  verdict(): void {
    if (this.#left.length > 0) throw new Error(`resources that were not given back:\n${this.#left.join('\n')}`)
    if (this.#looked > 0) resourceTally.add({ tasks: this.#looked })
  }
}
