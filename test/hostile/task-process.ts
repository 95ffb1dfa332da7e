/**
 * A data-plane task as a process of its own on an embedded table, and a desk that issues tickets for it. When it stops, its log and
 * the table are searched for their secrets, and it must be back at its base.
 */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { ENV } from '@postern/protocol/environment'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { Child } from '../../local/src/child.ts'
import { startEmbeddedTable } from '../../local/src/embedded-table.ts'
import { Canaries } from '../support/canaries.ts'
import { searchAll } from '../support/canary-tally.ts'
import { addDeploymentSecret } from '../support/deployment-canaries.ts'
import { ResourceCheck } from '../support/resources/resource-check.ts'
import { dumpTable } from '../support/table-dump.ts'
import { deskToken, type TicketDesk, ticketDesk } from './ticket-desk.ts'

export const BASE = 'test.localhost'
const STOP_GRACE_MS = 5000

export interface TaskProcess {
  readonly pid: number
  readonly publicPort: number
  readonly channelPort: number
  readonly desk: TicketDesk
  /** What it has written to its standard error: log lines of JSON, or the last words of a crash. */
  readonly log: readonly string[]
  /** Whether the process has never ended. */
  readonly alive: boolean
  /** @throws Error that names every place where something of a secret stands, or every resource that is left of visitors and agents */
  stop(): Promise<void>
}

/** @param more for its environment. Its log is of level `info`, its listeners take an optional PROXY header, its white lists are strict. */
export async function startTaskProcess(more: Readonly<Record<string, string>> = {}): Promise<TaskProcess> {
  const table = await startEmbeddedTable()
  const client = createDynamoClient({ endpoint: table.endpoint })
  const stores = openStore({ tableName: table.tableName, client })
  await stores.tokens.create(deskToken(Date.now()))
  const channelSecret = newDeploymentSecret(randomBytes)
  const canaries = new Canaries()
  addDeploymentSecret(canaries, channelSecret)
  const log: string[] = []
  const child = new Child({
    name: 'data plane',
    args: ['data-plane/dist/main.js'],
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: {
      ...process.env,
      [ENV.table]: table.tableName,
      [ENV.base]: BASE,
      [ENV.publicUrl]: `http://{subdomain}.${BASE}`,
      [ENV.publicHosts]: '127.0.0.1',
      [ENV.publicPort]: '0',
      [ENV.channelPort]: '0',
      [ENV.opsPort]: '0',
      [ENV.proxyProtocol]: 'optional',
      [ENV.ipPolicy]: 'strict',
      [ENV.channelSecret]: channelSecret,
      [ENV.logLevel]: 'info',
      AWS_ENDPOINT_URL_DYNAMODB: table.endpoint,
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: 'embedded',
      AWS_SECRET_ACCESS_KEY: 'embedded',
      // Said on Node 20; here every line that is no log line is a finding.
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      ...more,
    },
    complaint: (line) => log.push(line),
  })
  let alive = true
  void child.exited.then(() => {
    alive = false
  })
  const listening = JSON.parse(await child.line())
  const ports = {
    public: listening.public.port,
    channel: listening.channel.port,
    peer: 0,
    ops: listening.ops.port,
  }
  const resources = new ResourceCheck()
  const calls = [Number(new URL(table.endpoint).port)]
  await resources.watch({ name: 'the data plane', pid: child.pid, ports, calls, over: () => !alive })
  const desk = ticketDesk(stores.tickets, parseDeploymentKeys(channelSecret))
  return {
    pid: child.pid,
    publicPort: ports.public,
    channelPort: ports.channel,
    desk: {
      async issue(subdomain, port) {
        const ticket = await desk.issue(subdomain, port)
        canaries.add('the id of a ticket', ticket.workerId)
        canaries.add('the key of a ticket', ticket.encryptionKeyText)
        return ticket
      },
    },
    log,
    get alive() {
      return alive
    },
    async stop() {
      await resources.visitorsGone()
      await resources.agentsGone()
      await child.stop(STOP_GRACE_MS)
      const dump = await dumpTable(table)
      client.destroy()
      await table.stop()
      searchAll(canaries, [
        { name: 'the log of the data plane', bytes: Buffer.from(log.join('\n')) },
        { name: 'the table', bytes: dump },
      ])
      resources.verdict()
    },
  }
}

/** Lines of the log that are no log: what Node says of an exception, a rejection or a warning. */
export const lastWords = (log: readonly string[]): string[] => log.filter((line) => !line.startsWith('{'))
