/** The whole system on one machine: what it is made of, and the order in which it starts and stops. Knows nothing of the process or the terminal. */

import { readFile, rm } from 'node:fs/promises'
import { localSystemText } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import type { Child } from './child.ts'
import { startControlServer } from './control-server.ts'
import { openDataFolder, writePrivate } from './data-folder.ts'
import { startDemoServer } from './demo-server.ts'
import { startEmbeddedTable } from './embedded-table.ts'
import { ensureFirstAccount } from './first-account.ts'
import { localControlPlane } from './local-control-plane.ts'
import { type AgentProcess, publicUrl, startAgent, startDataPlane } from './processes.ts'
import { findPublicPlace } from './public-port.ts'

export interface LocalSystemOptions {
  /** Kept from start to start. */
  readonly dataFolder: string
  /** Where visitors connect; 0: any. */
  readonly port: number
  /** Something a process wrote to its standard error. */
  complaint(from: string, line: string): void
}

export interface LocalSystem {
  /** What the demo tunnel printed: `http://demo.localhost:8080`. */
  readonly demoUrl: string
  /** `http://localhost:8080`. */
  readonly server: string
  readonly profile: string
  /** Resolves when a part has ended, with a fault that names it. */
  readonly broken: Promise<TunnelFault>
  stop(): Promise<void>
}

const BASE = 'localhost'
const DEMO = 'demo'
/** Requests in flight may end; a person who pressed Ctrl+C waits no longer. */
const STOP_GRACE_MS = 5000

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
    const place = await findPublicPlace(options.port)
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

    const dataPlane = await startDataPlane({
      table,
      base: BASE,
      publicPort: place.port,
      publicHosts: place.hosts,
      channelSecretFile: folder.channelSecret,
      controlPort: control.port,
      complaint: (line) => options.complaint('data plane', line),
    })
    undo.push(() => dataPlane.child.stop(STOP_GRACE_MS))
    control.serve(
      localControlPlane({
        stores,
        channelSecret: await readFile(folder.channelSecret, 'utf8'),
        settings: {
          base: BASE,
          publicUrl: publicUrl(BASE, place.port),
          channelHost: '127.0.0.1',
          channelPort: dataPlane.channelPort,
          ipPolicy: 'observed',
          loopback: 'one',
        },
        complaint: (line) => options.complaint('control plane', line),
      }),
    )

    const server = `http://${BASE}:${place.port}`
    await ensureFirstAccount({ stores, profile: folder.profile, server, now: Date.now })
    const whereabouts = { server, table: { endpoint: table.endpoint, name: table.tableName } }
    await writePrivate(folder.system, localSystemText(whereabouts))
    undo.push(() => rm(folder.system, { force: true }))

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

    const broken = Promise.race([dataPlane.child, agent.child].map(endOf))
    return { demoUrl: agent.url, server, profile: folder.profile, broken, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function endOf(child: Child): Promise<TunnelFault> {
  const { code, signal } = await child.exited
  return new TunnelFault('internal-error', `The ${child.name} ended (${signal ?? `exit code ${code}`}).`)
}
