/** What the experiments with several tasks have in common: a cluster whose events are in a history, and its visitors' tunnels. Knows nothing of any experiment. */
import { Cluster, type ClusterOptions } from '../support/cluster.ts'
import { PATIENCE_MS } from '../support/raw-connection.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { startWitnessAgent, type WitnessAgent } from './fleet/witness-agent.ts'
import { type Asked, History } from './history/history.ts'

interface Tunnel {
  readonly name: string
  /** For the Host field. */
  readonly host: string
}

export interface ClusterRun {
  readonly cluster: Cluster
  readonly history: History
  /** An agent of this process for a name; resolves when it is online. */
  witness(name: string, agent?: string): Promise<WitnessAgent>
  tunnel(name: string): Tunnel
  /** Ends agents, tasks, table. */
  stop(): Promise<void>
}

export async function startRun(
  options: Omit<ClusterOptions, 'random' | 'happened'> & { readonly chance: SeededRandom },
): Promise<ClusterRun> {
  const history = new History()
  const { chance, ...rest } = options
  const agents: WitnessAgent[] = []
  const cluster = await Cluster.start({
    ...rest,
    random: () => chance.next(),
    happened: (task, event) => history.note(task, event),
  })
  return {
    cluster,
    history,
    async witness(name, agent) {
      const token = (await cluster.system.token('tester')).reveal()
      const before = history.of('claimed').length
      const started = startWitnessAgent({
        name,
        server: cluster.server,
        token,
        history,
        ...(agent !== undefined && { agent }),
      })
      agents.push(started)
      await waitFor(`${agent ?? name} is online`, () =>
        history
          .of('claimed')
          .slice(before)
          .some((claim) => claim.name === name && claim.agent === (agent ?? name)),
      )
      return started
    },
    tunnel: (name) => ({ name, host: `${name}.${cluster.system.base}` }),
    async stop() {
      for (const task of cluster.service.tasks) task.process.kill('SIGCONT')
      await Promise.all(agents.map((agent) => agent.stop()))
      await cluster.stop()
    },
  }
}

/** Looks every 20 ms. @throws Error after `ms` */
export async function waitFor(
  what: string,
  look: () => boolean | Promise<boolean>,
  ms = 2 * PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`${ms} ms passed without: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Until the other tasks have read that their connections to a dead one are reset, on a machine that has much else to do just then. */
const NEWS_MS = 100

/** Whether a request may be lost by the kill of the task that has its tunnel: it was on its way, or sent a moment later by who had not heard, and nothing may send it again. */
export function mayBeLost({ method, begun, ended }: Asked, killedAt: number): boolean {
  return method === 'POST' && begun < killedAt + NEWS_MS && ended > killedAt
}

/** @param share 0.5: the median */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
