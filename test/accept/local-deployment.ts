/** The local system with several nodes behind a balancer that behaves as a network load balancer does. */
import { randomInt } from 'node:crypto'
import { bootstrap } from '../support/administrator.ts'
import { Cluster } from '../support/cluster.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import type { TestProcess } from '../support/test-process.ts'
import type { Deployment, NodeEvent, NotMeasurable, Replacement } from './deployment.ts'
import { nodeEventOf } from './node-log.ts'

const NODES = 2
/** 110 s of draining become 22 s. */
const TIME_SCALE = 0.2

export class LocalDeployment implements Deployment {
  readonly title = `local system, ${NODES} nodes, times × ${TIME_SCALE}`
  readonly checksHaveHeader = true
  /** Of an administrator. */
  readonly token: string
  readonly #cluster: Cluster
  readonly #nodes: Map<string, TestProcess>
  readonly #deregistrations: readonly NodeEvent[]

  private constructor(cluster: Cluster, nodes: Map<string, TestProcess>, events: readonly NodeEvent[], token: string) {
    this.#cluster = cluster
    this.#nodes = nodes
    this.#deregistrations = events
    this.token = token
  }

  /** The bundles must have been built. */
  static async start(): Promise<LocalDeployment> {
    const random = new SeededRandom(randomInt(2 ** 31))
    const nodes = new Map<string, TestProcess>()
    const deregistrations: NodeEvent[] = []
    const cluster: Cluster = await Cluster.start({
      tasks: NODES,
      timeScale: TIME_SCALE,
      random: () => random.next(),
      happened(node, event) {
        const at = Date.now()
        if (event === 'target draining') deregistrations.push({ node, kind: 'deregistered', at, after: at })
        // Of a node that starts before `Cluster.start` has returned, the process is read below.
        if (event === 'target healthy' && nodes.size > 0) nodes.set(node, cluster.service.task(node).process)
      },
    })
    for (const { id, process } of cluster.service.tasks) nodes.set(id, process)
    try {
      return new LocalDeployment(cluster, nodes, deregistrations, await bootstrap(cluster.system))
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  get server(): string {
    return this.#cluster.server
  }

  get visitors(): Deployment['visitors'] {
    return { address: '127.0.0.1', port: this.#cluster.balancer.ports.public }
  }

  async healthyHosts(): Promise<NotMeasurable> {
    return { reason: 'The metric is CloudWatch’s.' }
  }

  async replaceNodes(signal: AbortSignal): Promise<Replacement> {
    signal.throwIfAborted()
    const ids = (): string[] => this.#cluster.service.tasks.map(({ id }) => id)
    const previous = ids()
    const replaced = this.#cluster.service.replaceAll()
    let abort: () => void = () => undefined
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
    })
    // After an interruption the nodes are ended by `stop`, and nobody waits for the replacement.
    replaced.catch(() => undefined)
    await Promise.race([replaced, aborted]).finally(() => signal.removeEventListener('abort', abort))
    return { previous, current: ids() }
  }

  async events(): Promise<readonly NodeEvent[]> {
    const logged = [...this.#nodes].flatMap(([node, { stderr }]) =>
      stderr.split('\n').flatMap((line) => nodeEventOf(node, line) ?? []),
    )
    return [...this.#deregistrations, ...logged]
  }

  async nodeOf(requestId: string): Promise<string | undefined> {
    return [...this.#nodes].find(([, { stderr }]) => stderr.includes(`"${requestId}"`))?.[0]
  }

  stop(): Promise<void> {
    return this.#cluster.stop()
  }
}
