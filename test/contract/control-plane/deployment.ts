/** A control plane on a table of its own, with a clock that a test can turn. */
import { randomBytes } from 'node:crypto'
import { createApp, type LogEntry, type Settings } from '@postern/control-plane'
import { startEmbeddedTable } from '@postern/local/embedded-table'
import { createDynamoClient, openStore, type Stores, type Token } from '@postern/protocol/store'
import {
  type DeploymentKeys,
  newDeploymentSecret,
  newToken,
  parseDeploymentKeys,
  type Random,
  tokenHash,
} from '@postern/protocol/ticket'

export const START = Date.parse('2027-01-15T08:00:00Z')

export interface Deployment {
  app: ReturnType<typeof createApp>
  stores: Stores
  keys: DeploymentKeys
  /** Every chance the control plane has used: whatever it made secret came from here. */
  drawn: Buffer[]
  logged: LogEntry[]
  /** The clock. */
  at: { now: number }
  caller: { ip: string | undefined }
  endpoint: string
  tableName: string
  stop(): Promise<void>
}

export async function deploy(settings: Partial<Settings> = {}): Promise<Deployment> {
  const table = await startEmbeddedTable()
  const client = createDynamoClient({ endpoint: table.endpoint })
  const stores = openStore({ tableName: table.tableName, client })
  const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
  const at = { now: START }
  const caller: Deployment['caller'] = { ip: '192.0.2.1' }
  const drawn: Buffer[] = []
  const logged: LogEntry[] = []
  const random: Random = (bytes) => {
    const chance = randomBytes(bytes)
    if (bytes >= 16) drawn.push(chance)
    return chance
  }
  const app = createApp({
    stores,
    keys,
    random,
    now: () => at.now,
    sourceIp: () => caller.ip,
    log: (entry) => logged.push(entry),
    settings: {
      base: 'example.com',
      publicUrl: 'https://{subdomain}.example.com',
      channelHost: 'channel.example.com',
      channelPort: 7000,
      ipPolicy: 'observed',
      ...settings,
    },
  })
  return {
    ...{ app, stores, keys, drawn, logged, at, caller },
    ...{ endpoint: table.endpoint, tableName: table.tableName },
    async stop() {
      client.destroy()
      await table.stop()
    },
  }
}

/** A user, unless there is one, and a token of theirs; answers its text. */
export async function grant(stores: Stores, username: string, changes: Partial<Token> = {}): Promise<string> {
  const patterns = new Set(['*'])
  await stores.users.create({ username, patterns, maxSubdomains: 3, maxTunnels: 5, createdAt: START })
  const token = newToken(changes.scopes?.has('admin') ? 'admin' : 'user', randomBytes)
  await stores.tokens.create({
    tokenHash: tokenHash(token),
    tokenId: randomBytes(8).toString('hex'),
    username,
    scopes: new Set(['tunnel']),
    subdomains: new Set(['*']),
    createdAt: START,
    expiresAt: START + 90 * 86_400_000,
    label: 'test',
    ...changes,
  })
  return token.reveal()
}
