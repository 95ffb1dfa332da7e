/** A control plane on a table of its own, with a clock that a test can turn. */
import { randomBytes } from 'node:crypto'
import { type AttributeValue, ScanCommand } from '@aws-sdk/client-dynamodb'
import { createApp, Grants, type LogEntry, type Settings } from '@postern/control-plane'
import { startEmbeddedTable } from '@postern/local/embedded-table'
import { type DynamoClient, openStore, type Stores, type Token } from '@postern/protocol/store'
import {
  type DeploymentKeys,
  newDeploymentSecret,
  newToken,
  parseDeploymentKeys,
  type Random,
  tokenHash,
} from '@postern/protocol/ticket'
import { unhurriedClient } from '../../support/unhurried-client.ts'

export const START = Date.parse('2027-01-15T08:00:00Z')

type Item = Record<string, AttributeValue>

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
  /** Makes a call, and keeps what was answered. */
  call(ask: Ask): Promise<Answered>
  /** Every answer to a `call`. */
  answered: Answered[]
  /** Every write that was done to the table: its command, partition and expression. */
  written: string[]
  /** All items, in no order: what somebody sees who can read the table. */
  dump(): Promise<Item[]>
  /** The same control plane on stores that a client spoils. */
  appOn(spoil: (client: DynamoClient) => DynamoClient): Deployment['app']
  stop(): Promise<void>
}

export interface Ask {
  method?: string
  path: string
  bearer?: string | undefined
  /** Sent as JSON. */
  body?: unknown
  /** Sent as it is, whatever `body` says. */
  raw?: { type?: string; text: string }
}

export interface Answered {
  ask: Ask
  status: number
  headers: Headers
  text: string
  /** Undefined where there is no body. */
  json: unknown
}

export async function deploy(settings: Partial<Settings> = {}): Promise<Deployment> {
  const table = await startEmbeddedTable()
  const client = unhurriedClient(table.endpoint)
  const written: string[] = []
  for (const one of [client.patient, client.once]) {
    one.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          const output = await next(args)
          if (/^(Put|Update|Delete)/.test(commandName)) written.push(writeOf(commandName, args.input))
          return output
        },
      { step: 'initialize' },
    )
  }
  const stores = openStore({ tableName: table.tableName, client })
  const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
  const grantKeys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
  const at = { now: START }
  const caller: Deployment['caller'] = { ip: '192.0.2.1' }
  const drawn: Buffer[] = []
  const logged: LogEntry[] = []
  const random: Random = (bytes) => {
    const chance = randomBytes(bytes)
    if (bytes >= 16) drawn.push(chance)
    return chance
  }
  const appOf = (its: Stores) =>
    createApp({
      stores: its,
      keys,
      grants: new Grants({ keys: grantKeys, stores: its, now: () => at.now }),
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
  const app = appOf(stores)
  const answered: Answered[] = []
  return {
    ...{ app, stores, keys, drawn, logged, at, caller, answered, written },
    ...{ endpoint: table.endpoint, tableName: table.tableName },
    async call(ask) {
      const answer = await callApp(app, ask)
      answered.push(answer)
      return answer
    },
    async dump() {
      const { Items = [] } = await client.patient.send(new ScanCommand({ TableName: table.tableName }))
      return Items
    },
    appOn: (spoil) => appOf(openStore({ tableName: table.tableName, client: spoil(client) })),
    async stop() {
      client.destroy()
      await table.stop()
    },
  }
}

function writeOf(command: string, input: object): string {
  const { Key, Item, UpdateExpression = '' }: { Key?: Item; Item?: Item; UpdateExpression?: string } = input
  return `${command} ${(Key ?? Item)?.pk?.S} ${UpdateExpression}`.trim()
}

/** One call to `app`. */
export async function callApp(app: Deployment['app'], ask: Ask): Promise<Answered> {
  const { method = 'GET', path, bearer, body } = ask
  const raw = ask.raw ?? (body === undefined ? undefined : { type: 'application/json', text: JSON.stringify(body) })
  const response = await app.request(path, {
    method,
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(raw?.type !== undefined && { 'content-type': raw.type }),
    },
    ...(raw && method !== 'GET' && { body: Buffer.from(raw.text) }),
  })
  const text = await response.text()
  return {
    ask,
    status: response.status,
    headers: response.headers,
    text,
    json: text === '' ? undefined : JSON.parse(text),
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
