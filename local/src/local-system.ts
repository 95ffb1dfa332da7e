/** The whole system on one machine: what it is made of, and the order in which it starts and stops. Knows nothing of the process or the terminal. */

import { readFile, rm } from 'node:fs/promises'
import { localSystemText } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { DRAIN_MS } from '@postern/protocol/limits'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import { startBalancer } from './balancer.ts'
import type { Child } from './child.ts'
import { startControlServer } from './control-server.ts'
import { openDataFolder, writePrivate } from './data-folder.ts'
import { startDemoServer } from './demo-server.ts'
import { startEmbeddedTable } from './embedded-table.ts'
import { ensureFirstAccount } from './first-account.ts'
import type { Front } from './front.ts'
import { localControlPlane } from './local-control-plane.ts'
import { type AgentProcess, type DataPlaneOptions, publicUrl, startAgent, startDataPlane } from './processes.ts'
import { anyAddress, findPublicPlace } from './public-port.ts'
import { type TaskEvent, TaskSet } from './task-set.ts'

export interface LocalSystemOptions {
  /** Kept from start to start. */
  readonly dataFolder: string
  /** Where visitors connect; 0: any. */
  readonly port: number
  /** On this address; on loopback unless given. */
  readonly listen?: string | undefined
  /** Before this machine; undefined: it serves itself alone, with a demo. */
  readonly front?: Front | undefined
  /** Data-plane tasks behind a balancer; undefined: one, and nothing before it. */
  readonly tasks: number | undefined
  /** Something a process wrote to its standard error. */
  complaint(from: string, line: string): void
}

export interface LocalSystem {
  /** What the demo tunnel printed: `http://demo.localhost:8080`. Undefined: there is no demo. */
  readonly demoUrl: string | undefined
  /** `http://localhost:8080`, or `https://` and the base domain. */
  readonly server: string
  readonly profile: string
  /** Resolves when a part has ended, with a fault that names it. */
  readonly broken: Promise<TunnelFault>
  /** Replaces the tasks one after the other; undefined where there is nothing before the one that there is. */
  readonly replaceTasks: ((happened: (event: TaskEvent) => void) => Promise<void>) | undefined
  stop(): Promise<void>
}

const LOCAL_BASE = 'localhost'
const DEMO = 'demo'
/** Requests in flight may end; a person who pressed Ctrl+C waits no longer. */
const STOP_GRACE_MS = 5000
/** A task that drains ends itself in time; what is left of it is killed, as Fargate does. */
const STOP_TIMEOUT_MS = DRAIN_MS + 10_000

/** Where a task listens, and whether others do beside it. */
type TaskPlace = Pick<DataPlaneOptions, 'publicPort' | 'publicHosts' | 'proxyProtocol' | 'hopSecretFile'>
const BEHIND_BALANCER = { publicPort: 0, publicHosts: ['127.0.0.1'], proxyProtocol: 'required' } as const

/** @throws TunnelFault `port-taken`, `config-invalid` for the data folder, or why a part did not come up; what had come up is stopped then */
export async function startLocalSystem(options: LocalSystemOptions): Promise<LocalSystem> {
  const undo: (() => Promise<unknown> | void)[] = []
  /** In the reverse order of starting; each step is written where the thing is started. */
  const stop = async (): Promise<void> => {
    while (true) {
      const step = undo.pop()
      if (!step) return
      await step()
    }
  }
  try {
    // The port first: it is the one thing that is likely to be taken, and nothing needs to be undone yet.
    const { front } = options
    const place = await findPublicPlace(options.port, options.listen)
    const channel = front && { address: await anyAddress(front.channelPort), port: front.channelPort }
    const base = front?.base ?? LOCAL_BASE
    const server = front === undefined ? `http://${base}:${place.port}` : `https://${base}`
    const reached = {
      base,
      publicUrl: front === undefined ? publicUrl(base, place.port) : `https://{subdomain}.${base}`,
    }
    const folder = await openDataFolder(options.dataFolder)

    // The table under everything: last to go, when nobody writes any more.
    const table = await startEmbeddedTable({ path: folder.table })
    undo.push(() => table.stop())
    const client = createDynamoClient({ endpoint: table.endpoint })
    undo.push(() => client.destroy())
    const stores = openStore({ tableName: table.tableName, client })

    // The control listener before the data plane, which is told its port; the app itself waits for the channel's port.
    const control = await startControlServer()
    undo.push(() => control.stop())

    const listening = { publicPort: place.port, publicHosts: place.hosts }
    const startTask = (name: string, where: TaskPlace) =>
      startDataPlane({
        ...where,
        name,
        table,
        ...reached,
        front,
        channel,
        channelSecretFile: folder.channelSecret,
        controlPort: control.port,
        complaint: (line) => options.complaint(name, line),
      })
    let dataPlane: { readonly channelPort: number; readonly broken: Promise<TunnelFault>; readonly set?: TaskSet }
    if (options.tasks === undefined) {
      const { child, channelPort } = await startTask('data plane', {
        ...listening,
        proxyProtocol: front === undefined ? 'off' : 'optional',
      })
      undo.push(() => child.stop(STOP_GRACE_MS))
      dataPlane = { channelPort, broken: endOf(child) }
    } else {
      // The balancer before its tasks, which it leads to as they come up; it outlives them, so that they can end what stands.
      const balancer = await startBalancer({ ...listening, random: Math.random })
      undo.push(() => balancer.stop())
      const set = await TaskSet.start({
        balancer,
        count: options.tasks,
        graceMs: STOP_GRACE_MS,
        start: (name) => startTask(name, { ...BEHIND_BALANCER, hopSecretFile: folder.hopSecret }),
      })
      undo.push(() => set.stop(STOP_GRACE_MS))
      dataPlane = { channelPort: balancer.channelPort, broken: set.broken, set }
    }
    control.serve(
      localControlPlane({
        stores,
        channelSecret: await readFile(folder.channelSecret, 'utf8'),
        grantSecret: await readFile(folder.grantSecret, 'utf8'),
        settings: {
          ...reached,
          channelHost: front === undefined ? '127.0.0.1' : base,
          channelPort: dataPlane.channelPort,
          ipPolicy: 'observed',
          loopback: front === undefined ? 'one' : 'distinct',
        },
        complaint: (line) => options.complaint('control plane', line),
      }),
    )

    await ensureFirstAccount({ stores, profile: folder.profile, server, now: Date.now })
    const whereabouts = { server, table: { endpoint: table.endpoint, name: table.tableName } }
    await writePrivate(folder.system, localSystemText(whereabouts))
    undo.push(() => rm(folder.system, { force: true }))

    const { broken, set } = dataPlane
    const replaceTasks = set && ((happened: (event: TaskEvent) => void) => set.replaceAll(STOP_TIMEOUT_MS, happened))
    const system = { server, profile: folder.profile, replaceTasks, stop }
    // A service for others shows them no demo.
    if (front !== undefined) return { ...system, demoUrl: undefined, broken }

    // The demo server stops first of all: it ends its event streams, for which the agent would wait. The agent stops before
    // the data plane, so that it can say that it leaves.
    const demo = await startDemoServer()
    let agent: AgentProcess | undefined
    undo.push(async () => {
      await demo.stop()
      await agent?.child.stop(STOP_GRACE_MS)
    })
    agent = await startAgent({
      target: String(demo.port),
      subdomain: DEMO,
      profile: folder.profile,
      complaint: (line) => options.complaint('agent', line),
    })

    return { ...system, demoUrl: agent.url, broken: Promise.race([broken, endOf(agent.child)]) }
  } catch (error) {
    await stop()
    throw error
  }
}

async function endOf(child: Child): Promise<TunnelFault> {
  const { code, signal } = await child.exited
  return new TunnelFault('internal-error', `The ${child.name} ended (${signal ?? `exit code ${code}`}).`)
}
