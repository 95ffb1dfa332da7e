/** A system whose data plane is several tasks behind a network load balancer. Knows nothing of what is tested. */
import type { EmbeddedTable } from '@postern/local/embedded-table'
import { ENV } from '@postern/protocol/environment'
import { NetworkBalancer, type NetworkBalancerOptions } from './network-balancer/network-balancer.ts'
import { type AgentStart, type RunningAgent, type System, startSystem } from './start-system.ts'
import { startTableProcess } from './table-process.ts'
import { type StartedTask, TaskService } from './task-service.ts'
import type { TestProcess } from './test-process.ts'

type Environment = Readonly<Record<string, string>>

export interface ClusterOptions {
  readonly tasks: number
  /** For every process, the balancer and the service. */
  readonly timeScale: number
  /** Uniform in [0, 1). */
  random(): number
  /** See the service's. */
  readonly launchMs?: number
  readonly balancer?: Pick<NetworkBalancerOptions, 'tls' | 'gone'>
  /** Where agents connect; 127.0.0.1 unless told. */
  readonly channelHost?: string
  /** Hears what a task said once it listened. */
  listening?(taskId: string, ports: Readonly<Record<string, { readonly port: number }>>): void
  /** What stands before the table, for the control plane and for every task. */
  front?(table: EmbeddedTable): Promise<EmbeddedTable>
  /** Changes to the environment of a task. */
  taskEnv?(taskId: string): Environment | Promise<Environment>
  /** Hears what happens to tasks and targets. */
  happened?(task: string, event: string): void
}

export class Cluster {
  readonly system: System
  readonly balancer: NetworkBalancer
  readonly service: TaskService

  /** Starts a task to which the balancer leads nobody, with changes to its environment. */
  readonly startTask: (taskId: string, changes?: Environment) => Promise<TestProcess>

  private constructor(
    system: System,
    balancer: NetworkBalancer,
    service: TaskService,
    startTask: Cluster['startTask'],
  ) {
    this.startTask = startTask
    this.system = system
    this.balancer = balancer
    this.service = service
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const { timeScale, launchMs, random, happened, front, taskEnv, channelHost } = options
    const host = channelHost !== undefined && { channelHost }
    const system = await startSystem({
      withoutDataPlane: true,
      // Those that drain take their time, and nobody looks any more.
      dataPlaneGraceMs: 0,
      ...host,
      env: { POSTERN_TIME_SCALE: String(timeScale) },
      table: async () => {
        const table = await startTableProcess()
        if (!front) return table
        const fronted = await front(table)
        const stop = async (): Promise<void> => {
          await fronted.stop()
          await table.stop()
        }
        return { ...fronted, stop }
      },
    })
    const changed: NetworkBalancerOptions['changed'] = happened && ((id, state) => happened(id, `target ${state}`))
    const balancer = await NetworkBalancer.start({
      timeScale,
      random,
      ...options.balancer,
      ...host,
      ...(changed && { changed }),
    })
    const startTask = async (taskId: string, changes?: Environment): Promise<TestProcess> => {
      const process = await system.startDataPlane(undefined, {
        [ENV.proxyProtocol]: 'required',
        [ENV.taskId]: taskId,
        ...(await taskEnv?.(taskId)),
        ...changes,
      })
      options.listening?.(taskId, JSON.parse(await process.firstLine()))
      return process
    }
    const start = async (taskId: string): Promise<StartedTask> => {
      const process = await startTask(taskId)
      const listening = JSON.parse(await process.firstLine())
      const portOf = (name: 'public' | 'channel' | 'ops'): number => listening[name].port
      return { process, ports: { public: portOf('public'), channel: portOf('channel'), ops: portOf('ops') } }
    }
    const service = new TaskService({ balancer, timeScale, launchMs, random, start, ...(happened && { happened }) })
    const cluster = new Cluster(system, balancer, service, startTask)
    try {
      system.control.use({ channelPort: balancer.ports.channel })
      await service.start(options.tasks)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Where agents ask for tickets: not through the tasks, as in the deployed shape. */
  get server(): string {
    return this.system.controlUrl
  }

  startAgent(start: AgentStart): Promise<RunningAgent> {
    return this.system.startAgent({ server: this.server, ...start })
  }

  /** @throws Error that names every place where something of a secret stands that may not */
  async stop(): Promise<void> {
    this.service.stop()
    // What is frozen cannot end.
    await this.system.stop().finally(() => this.balancer.stop())
  }
}
